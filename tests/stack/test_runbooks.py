"""What the runbooks tell to type works on a minimal server."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.role_readme import REPOSITORY

if TYPE_CHECKING:
    from testinfra.host import Host

TEXT = (REPOSITORY / "docs" / "runbooks.md").read_text(encoding="utf-8")
# Words of programs, and what is typed on the controller.
NO_COMMAND = re.compile(r"connection refused|EC2_IP=|\./lab|ssh -i|\d+ |HTTP ")
CHANGES = re.compile(r"\b(restart|prune|clean|silence add|set-ntp|install|--vacuum-size=\S+)\b")
# Their exit status tells of the host, not of the command.
TELLS = re.compile(r"\b(systemctl|journalctl|timedatectl|grep)\b")


def commands() -> list[str]:
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", TEXT)]
    typed = [s for s in spans if " " in s and not NO_COMMAND.match(s)]
    return sorted(set(typed))


def test_there_are_commands() -> None:
    assert len([command for command in commands() if not CHANGES.search(command)]) > 30


@pytest.mark.parametrize("command", commands())
def test_its_programs_are_there(host: Host, command: str) -> None:
    for part in re.sub(r"'[^']*'|\"[^\"]*\"", "", command).split("|"):
        words = [word for word in part.split() if word != "sudo"]
        assert host.exists(words[0]), words[0]


@pytest.mark.parametrize("command", [c for c in commands() if not CHANGES.search(c)])
def test_it_runs(host: Host, command: str) -> None:
    done = host.run(command)
    complaint = (
        r"command not found|unrecognized|invalid option|unknown (option|operation|command|flag)"
    )
    assert not re.search(complaint, done.stderr, re.IGNORECASE), done.stderr
    if not TELLS.search(command):
        assert done.rc == 0, done.stderr
