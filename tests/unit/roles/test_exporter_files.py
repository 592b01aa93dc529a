"""What the exporters and Alertmanager get: units, credentials, configuration."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import pytest
import yaml

from tests.role_readme import ROLES
from tests.unit.roles.rendering import load, parse_unit, written

HARDENED = ["prometheus", "node_exporter"]
CREDENTIALS = ["mysqld_exporter", "apache_exporter", "blackbox_exporter", "alertmanager"]


def files_of(role: str, **overrides: object) -> dict[str, dict[str, Any]]:
    tasks = "service.yml" if role in HARDENED else "main.yml"
    return written(role, tasks, **overrides)


def unit(role: str, **overrides: object) -> dict[str, list[str]]:
    sections = parse_unit(files_of(role, **overrides)["unit"]["content"])
    return dict(sections["Service"])


def alertmanager(**overrides: object) -> dict[str, Any]:
    file = files_of("alertmanager", **overrides)["/etc/alertmanager/alertmanager.yml"]
    assert "content" not in file, "the channels' secrets must not be shown in a diff"
    return dict(yaml.safe_load(file["secret_content"]))


@pytest.mark.parametrize("role", CREDENTIALS)
def test_a_unit_hands_its_files_to_the_service_and_to_nobody_else(role: str) -> None:
    files = files_of(role)
    service = unit(role)
    assert service["DynamicUser"] == ["true"]
    paths = [PurePosixPath(path) for path in files if path != "unit"]
    assert sorted(service["LoadCredential"]) == sorted(f"{path.name}:{path}" for path in paths)
    (command,) = service["ExecStart"]
    for path in paths:
        assert f"=${{CREDENTIALS_DIRECTORY}}/{path.name}" in command
        file = files[str(path)]
        assert "secret_content" in file or file["mode"] == "0600"


@pytest.mark.parametrize("role", [*HARDENED, *CREDENTIALS])
def test_go_collects_garbage_before_the_kernel_kills(role: str) -> None:
    service = unit(role, **{f"{role}_memory_max": "64M"})
    assert service["MemoryMax"] == ["64M"]
    assert f"GOMEMLIMIT={64 * 1024 * 1024 * 9 // 10}" in service["Environment"]


@pytest.mark.parametrize("role", [*HARDENED, *CREDENTIALS])
def test_every_unit_has_the_whole_sandbox(role: str) -> None:
    text = (ROLES.parent / "templates" / "sandbox.conf.j2").read_text(encoding="utf-8")
    sandbox = parse_unit(f"[Service]\n{text}")["Service"]
    service = unit(role)
    for key, values in sandbox.items():
        # What a role adds or takes back comes after it.
        assert service[key][: len(values)] == values, key


@pytest.mark.parametrize("role", ["mysqld_exporter", "apache_exporter", "blackbox_exporter"])
def test_an_exporter_talks_to_the_allowed_networks_alone(role: str) -> None:
    defaults = load(ROLES / role / "defaults" / "main.yml")
    networks = defaults[f"{role}_allowed_networks"]
    assert unit(role)["IPAddressDeny"] == ["any"]
    assert unit(role)["IPAddressAllow"] == [" ".join(networks)]
    assert "IPAddressDeny" not in unit(role, **{f"{role}_allowed_networks": []})


def test_alertmanager_keeps_its_notes_and_leaves_the_host() -> None:
    service = unit("alertmanager")
    assert service["StateDirectory"] == ["alertmanager"]
    assert "IPAddressDeny" not in service


def test_a_password_survives_the_option_file() -> None:
    files = files_of("mysqld_exporter", mysqld_exporter_mysql_password='a"b\\c#')
    text = files["/etc/mysqld_exporter/my.cnf"]["secret_content"]
    assert 'password = `a"b\\c#`\n' in text


def test_alertmanager_without_channels_tells_nobody() -> None:
    config = alertmanager()
    assert [list(receiver) for receiver in config["receivers"]] == [["name"], ["name"]]
    assert config["route"]["receiver"] == "people"


def test_an_address_as_text_is_one_address() -> None:
    config = alertmanager(
        alertmanager_email_to="me@example.net",
        alertmanager_email_from="labstack@example.net",
        alertmanager_smtp_smarthost="smtp.example.net:587",
    )
    (email,) = config["receivers"][0]["email_configs"]
    assert email["to"] == "me@example.net"


def test_alertmanager_tells_everybody_who_is_named() -> None:
    config = alertmanager(
        alertmanager_email_to=["a@example.net", "b@example.net"],
        alertmanager_email_from="labstack@example.net",
        alertmanager_smtp_smarthost="smtp.example.net:587",
        alertmanager_smtp_user="labstack",
        alertmanager_smtp_password="secret",
        alertmanager_webhook_urls=["https://example.net/a", "https://example.net/b"],
        alertmanager_slack_url="https://slack.example.net/x",
        alertmanager_slack_channel="#ops",
        alertmanager_watchdog_url="https://example.net/alive",
    )
    assert config["global"] == {
        "smtp_smarthost": "smtp.example.net:587",
        "smtp_from": "labstack@example.net",
        "smtp_require_tls": True,
        "smtp_auth_username": "labstack",
        "smtp_auth_password": "secret",
    }
    people, watchdog = config["receivers"]
    assert people["email_configs"] == [
        {"to": "a@example.net, b@example.net", "send_resolved": True}
    ]
    assert people["webhook_configs"] == [
        {"url": "https://example.net/a", "send_resolved": True},
        {"url": "https://example.net/b", "send_resolved": True},
    ]
    assert people["slack_configs"] == [
        {"api_url": "https://slack.example.net/x", "send_resolved": True, "channel": "#ops"}
    ]
    assert watchdog["webhook_configs"] == [
        {"url": "https://example.net/alive", "send_resolved": False}
    ]


def test_alertmanager_gossips_with_nobody() -> None:
    (command,) = unit("alertmanager")["ExecStart"]
    assert command.split()[-1] == "--cluster.listen-address="


def test_values_with_quotes_survive_alertmanagers_configuration() -> None:
    address = 'https://example.net/"a": #b'
    (people, _) = alertmanager(alertmanager_webhook_urls=[address])["receivers"]
    assert people["webhook_configs"][0]["url"] == address
