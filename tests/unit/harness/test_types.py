"""mypy follows imports into the collection: a wrong type in a call of ours is seen."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.role_readme import REPOSITORY

PLUGINS = "ansible_collections.labstack.stack.plugins"


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        ("module_utils.services import Wanted\nWanted(unit=5)", 'Argument "unit" to "Wanted"'),
        ("filter.listeners import listeners\nlisteners({}, 5)", 'Argument 2 to "listeners"'),
        ("filter.listener import nothing", 'has no attribute "nothing"'),
    ],
)
def test_a_wrong_type_in_a_call_across_files_is_seen(call: str, fault: str, tmp_path: Path) -> None:
    (tmp_path / "caller.py").write_text(f"from {PLUGINS}.{call}\n")
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-error-summary", tmp_path / "caller.py"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 1, checked.stderr
    (found,) = checked.stdout.splitlines()
    assert found.startswith(f"{tmp_path}/caller.py:"), found
    assert fault in found
