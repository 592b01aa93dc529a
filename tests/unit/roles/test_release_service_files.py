"""What the roles write that run a release: units, credentials, Alertmanager's configuration."""

from __future__ import annotations

from typing import Any

import yaml

from tests.unit.roles.rendering import evaluate, parse_unit, render


def unit(**overrides: object) -> dict[str, list[str]]:
    sections = parse_unit(render("release_service", "service.j2", **overrides))
    return dict(sections["Service"])


def alertmanager(**overrides: object) -> dict[str, Any]:
    (file,) = evaluate("alertmanager", "__alertmanager_files", **overrides)
    assert "content" not in file, "the channels' secrets must not be shown in a diff"
    return dict(yaml.safe_load(file["secret_content"]))


def test_a_unit_hands_its_files_to_the_service_and_to_nobody_else() -> None:
    service = unit()
    assert service["DynamicUser"] == ["true"]
    assert service["LoadCredential"] == ["sample.yml:/etc/sample_exporter/sample.yml"]
    (command,) = service["ExecStart"]
    assert '"--config.file=${CREDENTIALS_DIRECTORY}/sample.yml"' in command
    # systemd turns %% into % and $$ into $ again.
    assert '"--cost=5%%$$"' in command


def test_go_collects_garbage_before_the_kernel_kills() -> None:
    service = unit(release_service_memory_max="64M")
    assert service["MemoryMax"] == ["64M"]
    assert service["Environment"] == [f"GOMEMLIMIT={64 * 1024 * 1024 * 9 // 10}"]


def test_only_who_keeps_something_has_a_directory_and_only_who_must_leaves_the_host() -> None:
    assert "StateDirectory" not in unit()
    assert unit()["IPAddressDeny"] == ["any"]
    assert unit(release_service_state=True)["StateDirectory"] == ["sample_exporter"]
    assert "IPAddressDeny" not in unit(release_service_reach=[])


def test_a_password_survives_the_option_file() -> None:
    (file,) = evaluate(
        "mysqld_exporter", "__mysqld_exporter_files", mysqld_exporter_mysql_password='a"b\\c#'
    )
    assert file["mode"] == "0600"
    assert 'password = `a"b\\c#`\n' in file["secret_content"]


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
    assert "--cluster.listen-address=" in evaluate("alertmanager", "__alertmanager_options")
