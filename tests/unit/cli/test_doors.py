"""`./lab open` and `./lab passwords`: what is asked of whom, and what is told."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from cli import __main__ as root
from cli import doors, shared
from cli.running import ROOT, environment

if TYPE_CHECKING:
    from collections.abc import Callable

HOST = "--host 203.0.113.7"
SECRETS = "/etc/labstack/secrets"


@dataclass
class World:
    """What the host answers, what was asked of it, and which address a browser was given."""

    secrets: str = (
        f"{SECRETS}/webapp_admin_password:pa:ge\n"
        f"{SECRETS}/grafana_admin_password:gra\n{SECRETS}/monitoring_password:moni\n"
    )
    status: int = 0
    asked: list[tuple[str, ...]] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)
    terminal: bool = True


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    there = World()
    real: Callable[..., Any] = subprocess.run

    def run(command: tuple[str, ...], **options: Any) -> Any:
        if command[0] != "ssh":
            return real(command, **options)
        there.asked.append(command)
        return subprocess.CompletedProcess(command, there.status, there.secrets, "")

    monkeypatch.setattr("subprocess.run", run)
    monkeypatch.setattr("click.launch", there.opened.append)
    monkeypatch.setattr(doors, "has_browser", lambda: True)
    monkeypatch.setattr(shared, "_terminal", lambda: there.terminal)
    return there


def type_(line: str) -> Result:
    return CliRunner().invoke(root.cli, line.split(), prog_name="./lab")


def test_open_prints_all_addresses_and_opens_the_page(world: World) -> None:
    told = type_(f"{HOST} open")
    assert told.exit_code == 0, told.output
    assert [line.split()[-1] for line in told.output.splitlines()] == [
        "http://203.0.113.7/",
        "http://203.0.113.7:3000/",
        "http://203.0.113.7:9090/",
        "http://203.0.113.7:9100/",
    ]
    assert world.opened == ["http://203.0.113.7/"]
    # The inventory knows; the host need not be asked.
    assert world.asked == []


@pytest.mark.parametrize(
    ("line", "opened"),
    [
        ("open grafana", ["http://203.0.113.7:3000/"]),
        ("open node", ["http://203.0.113.7:9100/"]),
        ("open prometheus --print", []),
    ],
)
def test_open_opens_what_is_asked_for(world: World, line: str, opened: list[str]) -> None:
    assert type_(f"{HOST} {line}").exit_code == 0
    assert world.opened == opened


def test_without_windows_the_addresses_are_only_printed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doors, "has_browser", lambda: False)
    assert "http://203.0.113.7:3000/" in type_(f"{HOST} open grafana").output
    assert world.opened == []


def test_a_page_that_is_not_there_is_named(world: World) -> None:
    told = type_(f"{HOST} open kibana")
    assert told.exit_code == 2
    assert "this host has no kibana; it has: page, grafana, prometheus, node" in told.output
    assert world.opened == []


def test_passwords_are_read_on_the_host(world: World) -> None:
    told = type_(f"{HOST} passwords")
    assert told.exit_code == 0, told.output
    rows = [line.split() for line in told.output.splitlines()]
    assert rows[0] == ["PAGE", "NAME", "PASSWORD"]
    # A password of 32 characters fits a terminal, unbroken.
    assert max(len(line) for line in told.output.splitlines()) - len("pa:ge") + 32 <= 80
    assert [row[-2:] for row in rows[1:]] == [
        ["admin", "pa:ge"],
        ["admin", "gra"],
        ["monitor", "moni"],
        ["monitor", "moni"],
    ]
    (command,) = world.asked
    # Only those with which people sign in.
    names = ("grafana_admin_password", "monitoring_password", "webapp_admin_password")
    assert command[-7:] == ("sudo", "grep", "-Hs", ".", *(f"{SECRETS}/{name}" for name in names))


def test_passwords_do_not_go_into_a_file_by_accident(world: World) -> None:
    world.terminal = False
    refused = type_(f"{HOST} passwords")
    assert refused.exit_code == 1
    assert "-> ./lab --host 203.0.113.7 passwords --show" in refused.output
    assert world.asked == []
    assert "pa:ge" in type_(f"{HOST} passwords --show").output


def test_a_host_without_passwords_says_so(world: World) -> None:
    world.secrets, world.status = "", 2
    told = type_(f"{HOST} passwords")
    assert told.exit_code == 1
    assert "no passwords yet" in told.output
    assert "-> ./lab --host 203.0.113.7 up" in told.output


def test_a_host_that_cannot_be_reached_is_left_to_ssh(world: World) -> None:
    world.secrets, world.status = "", 255
    assert type_(f"{HOST} passwords").exit_code == 1


def test_a_host_has_only_what_it_serves() -> None:
    """Another port, another name, HTTPS, and a host that watches nothing."""
    more = {
        "stack_monitors": False,
        "stack_monitoring_tls": True,
        "stack_monitoring_user": "me",
        "webapp_http_port": 8080,
    }
    done = subprocess.run(
        [
            *("ansible", "all", "-i", "inventory/ec2.yml", "-m", "ansible.builtin.debug"),
            *("-a", f"msg={doors.WANTED}", "-e", json.dumps(more)),
        ],
        cwd=ROOT,
        env=environment("203.0.113.7")
        | {"ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json", "ANSIBLE_LOAD_CALLBACK_PLUGINS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = doors.read(json.loads(done.stdout))
    assert [(door.name, door.url, door.user) for door in found] == [
        ("page", "http://203.0.113.7:8080/", "admin"),
        ("node", "https://203.0.113.7:9100/", "me"),
    ]
