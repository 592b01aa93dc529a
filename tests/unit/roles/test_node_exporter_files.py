"""What the role node_exporter writes."""

from __future__ import annotations

import pytest
import yaml

from tests.unit.roles.rendering import evaluate, parse_unit, render


def unit(**overrides: object) -> dict[str, list[str]]:
    sections = parse_unit(render("node_exporter", "node_exporter.service.j2", **overrides))
    return dict(sections["Service"])


def test_passwords_are_hashes_only() -> None:
    web = yaml.safe_load(render("node_exporter", "web.yml.j2"))
    assert web["basic_auth_users"]["monitor"].startswith("$2b$10$")
    assert "sampleMonitoringPassword" not in str(web)


def test_without_users_the_file_is_still_valid() -> None:
    web = render("node_exporter", "web.yml.j2", node_exporter_basic_auth_users={})
    assert yaml.safe_load(web) == {"basic_auth_users": {}}


def test_regular_expressions_survive_systemd() -> None:
    (command,) = unit(node_exporter_interfaces_exclude=r'^ve"th\d+%i$')["ExecStart"]
    # systemd turns \\ into \, \" into ", %% into % and $$ into $ again.
    assert r'"--collector.netdev.device-exclude=^ve\"th\\d+%%i$$"' in command


def test_text_files_are_served_when_there_is_a_directory() -> None:
    (command,) = unit(node_exporter_textfile_directory="/var/lib/node_exporter")["ExecStart"]
    assert '"--collector.textfile.directory=/var/lib/node_exporter"' in command
    assert '"--no-collector.textfile"' in unit(node_exporter_textfile_directory="")["ExecStart"][0]


@pytest.mark.parametrize(
    ("listen", "probe"),
    [
        ("0.0.0.0:9100", "127.0.0.1:9100"),
        (":9100", "127.0.0.1:9100"),
        ("[::]:9100", "127.0.0.1:9100"),
        ("10.0.0.5:9100", "10.0.0.5:9100"),
        ("[2001:db8::1]:9100", "[2001:db8::1]:9100"),
    ],
)
def test_the_probe_asks_where_the_exporter_listens(listen: str, probe: str) -> None:
    address = evaluate(
        "node_exporter", "__node_exporter_probe_address", node_exporter_listen_address=listen
    )
    assert address == probe
