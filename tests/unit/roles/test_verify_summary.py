"""The last words of a run: what was found, and where people find it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.roles.rendering import render

LONGEST = "203.200.213.207"


def told(
    servers: dict[str, dict[str, Any]],
    *,
    check_mode: bool = False,
    passed: bool = True,
    ssh: str = f"./lab --host {LONGEST} ssh",
) -> list[str]:
    """Return the lines."""
    text = render(
        "verify",
        "summary.txt.j2",
        inventory_hostname="host",
        ansible_check_mode=check_mode,
        verify_address=LONGEST,
        verify_servers=servers,
        verify_ssh_command=ssh,
        verify_result={"msg": "3 checks passed", "checks": [{"passed": passed}]},
    )
    return text.strip().splitlines()


ALL: dict[str, dict[str, Any]] = {
    "http": {"port": 80},
    "https": {"port": 443, "scheme": "https", "user": "admin", "password": "hidden"},
    "grafana": {"port": 3001, "user": "admin", "password": "hidden"},
    "prometheus": {"port": 9090, "scheme": "https", "user": "monitor", "password": "hidden"},
    "node_exporter": {"port": 9100, "user": "monitor", "password": "hidden"},
}


def test_addresses_follow_the_servers() -> None:
    lines = told(ALL)
    assert lines[0] == "host: 3 checks passed"
    assert lines[1] == f"  web page       http://{LONGEST}/   https://{LONGEST}/"
    assert f"  Grafana        http://{LONGEST}:3001/   (admin)" in lines
    assert f"  Prometheus     https://{LONGEST}:9090/   (monitor)" in lines
    assert "hidden" not in "\n".join(lines)


def test_it_fits_a_terminal() -> None:
    assert [line for line in told(ALL) if len(line) > 80] == []


def test_each_check_is_one_command_away() -> None:
    assert f"  each check     ./lab --host {LONGEST} status -v" in told(ALL)
    assert "  each check     ./lab status -v" in told(ALL, ssh="./lab ssh")
    by_hand = told(ALL, ssh="ssh ubuntu@host")
    assert "  each check     ansible-playbook playbooks/verify.yml -v" in by_hand


def test_the_passwords_are_one_command_away() -> None:
    assert f"  passwords      ./lab --host {LONGEST} passwords" in told(ALL)
    assert "  passwords      ./lab passwords" in told(ALL, ssh="./lab ssh")
    by_hand = told(ALL, ssh="ssh ubuntu@host")
    assert "    ssh ubuntu@host sudo grep -r . /etc/labstack/secrets" in by_hand


@pytest.mark.parametrize("away", [{"present": False}, {"closed": True}])
def test_what_nobody_can_open_is_left_out(away: dict[str, bool]) -> None:
    lines = told(ALL | {"grafana": ALL["grafana"] | away})
    assert not [line for line in lines if "Grafana" in line]


@pytest.mark.parametrize("run", [{"check_mode": True}, {"passed": False}])
def test_only_a_stack_that_works_is_shown_around(run: dict[str, Any]) -> None:
    assert told(ALL, **run) == ["host: 3 checks passed"]
