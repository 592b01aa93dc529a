"""The script lab, which makes the environment that everything else runs in."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.role_readme import REPOSITORY

# What the script needs before there is a Python; without apt-get, with which root installs one.
COMMANDS = (
    "sh",
    "sed",
    "readlink",
    "id",
    "cat",
    "rm",
    "mkdir",
    "tail",
    "dirname",
    "cmp",
    "env",
    "uname",
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout on a computer without a Python that does."""
    for name in ("lab", "requirements"):
        source = REPOSITORY / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    commands = tmp_path / "commands"
    commands.mkdir()
    for name in COMMANDS:
        (commands / name).symlink_to(str(shutil.which(name)))
    return tmp_path


def run(checkout: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Type `./lab up` there."""
    known = {"PATH": str(checkout / "commands"), "HOME": str(checkout)}
    return subprocess.run(
        [checkout / "lab", "up"],
        env=known | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_a_python_it_says_how_to_get_one(checkout: Path) -> None:
    done = run(checkout)
    assert done.returncode == 1
    assert "Python 3.12 or newer, with its venv module, is needed" in done.stderr
    assert "uv python install 3.13" in done.stderr
    assert "LAB_PYTHON is" not in done.stderr


@pytest.mark.parametrize(
    ("says", "seen"),
    [
        ("echo 'it is Python 3.10.12'; exit 1", "it is Python 3.10.12"),
        ("echo 'libpython3.13.so: cannot open' >&2; exit 127", "libpython3.13.so: cannot open"),
    ],
)
def test_a_named_python_that_does_not_do_is_named_with_the_reason(
    checkout: Path, says: str, seen: str
) -> None:
    named = checkout / "python3.13"
    named.write_text(f"#!/bin/sh\n{says}\n")
    named.chmod(0o755)
    done = run(checkout, LAB_PYTHON=str(named))
    assert done.returncode == 1
    assert f"LAB_PYTHON is {named}, which is no Python 3.12 or newer" in done.stderr
    assert seen in done.stderr


def test_a_named_python_that_is_not_there_is_named(checkout: Path) -> None:
    done = run(checkout, LAB_PYTHON="/no/such/python3.13")
    assert "LAB_PYTHON is /no/such/python3.13" in done.stderr
    assert "not found" in done.stderr.partition("venv:")[2].splitlines()[1]
