"""A role's tasks through ansible-playbook, on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Played:
    """A finished run: its exit status, what it printed, and how many tasks changed something."""

    status: int
    output: str
    changed: int


PlayRole = Callable[..., Played]


@pytest.fixture
def play_role(tmp_path: Path) -> PlayRole:
    """Plays a role's tasks with variables, and with an environment of one's own."""

    def play(
        role: str,
        variables: dict[str, Any] | None = None,
        *options: str,
        tasks_from: str = "main",
        **environment: str,
    ) -> Played:
        include = {"name": f"labstack.stack.{role}", "tasks_from": tasks_from}
        task = {"name": "Play it", "ansible.builtin.include_role": include}
        playbook = tmp_path / "play.yml"
        playbook.write_text(
            json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [task]}])
        )
        done = subprocess.run(
            [
                "ansible-playbook",
                "--inventory=localhost,",
                "--connection=local",
                f"--extra-vars={json.dumps(variables or {})}",
                *options,
                str(playbook),
            ],
            cwd=ROOT,
            env={
                **os.environ,
                "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
                "ANSIBLE_NOCOLOR": "1",
                "NO_COLOR": "1",
                **environment,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        output = done.stdout + done.stderr
        changed = output.rpartition("changed=")[2].split()[:1]
        return Played(done.returncode, output, int(changed[0]) if changed else 0)

    return play
