"""What the runbooks tell to type works on a minimal server."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.stack.runbooks import CHANGES, commands

if TYPE_CHECKING:
    from testinfra.host import Host

# Their exit status tells of the host, not of the command.
TELLS = re.compile(r"\b(systemctl|journalctl|timedatectl|grep)\b")


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
