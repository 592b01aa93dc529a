"""What an interrupted dpkg leaves behind, played by programs that keep states in a file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.play_role import PlayRole

DPKG = """#!/bin/sh
echo "dpkg $*" >> "$STATE/calls"
case $1 in
    --configure)
        if [ -e "$STATE/locked" ]; then
            cat "$STATE/locked" >&2
            [ -e "$STATE/for-ever" ] || rm "$STATE/locked"
            exit 2
        fi
        if grep -q '^iU ' "$STATE/packages"; then echo "Setting up it"; fi
        sed -i 's/^iU /ii /' "$STATE/packages" ;;
    --remove) sed -i "/|$3\\$/d" "$STATE/packages" ;;
esac
"""
QUERY = """#!/bin/sh
cat "$STATE/packages"
"""
WORDINGS = [
    "dpkg: error: dpkg frontend lock is locked by another process",
    "dpkg: error: dpkg frontend lock was locked by another process with pid 7\n"
    "Note: removing the lock file is always wrong",
    "dpkg: error: unable to lock dpkg frontend lock: Resource temporarily unavailable",
]
QUICK = {"__dpkg_pause": 0, "__dpkg_tries": 2}


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (("dpkg", DPKG), ("dpkg-query", QUERY)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("STATE", str(tmp_path))
    (tmp_path / "calls").touch()
    return tmp_path


def packages(state: Path, *lines: str) -> None:
    (state / "packages").write_text("".join(f"{line}\n" for line in lines))


def test_nothing_changes_where_nothing_was_interrupted(state: Path, play_role: PlayRole) -> None:
    packages(state, "ii |bash", "rc |old", "hi |grafana", "un |never")
    played = play_role("dpkg", QUICK)
    assert (played.status, played.changed) == (0, 0), played.output
    assert "--remove" not in (state / "calls").read_text()


def test_what_is_unpacked_halfway_is_configured_or_taken_away(
    state: Path, play_role: PlayRole
) -> None:
    packages(state, "ii |bash", "iU |docker.io", "iHR|containerd")
    told = play_role("dpkg", QUICK, "--check")
    assert (told.status, told.changed) == (0, 1), told.output
    assert (state / "calls").read_text() == ""

    played = play_role("dpkg", QUICK)
    assert (played.status, played.changed) == (0, 2), played.output
    assert (state / "packages").read_text() == "ii |bash\nii |docker.io\n"


@pytest.mark.parametrize("words", WORDINGS)
def test_waits_while_another_program_uses_dpkg(
    state: Path, play_role: PlayRole, words: str
) -> None:
    packages(state, "iU |docker.io")
    (state / "locked").write_text(words)
    played = play_role("dpkg", QUICK)
    assert (played.status, played.changed) == (0, 1), played.output
    assert (state / "calls").read_text().count("--configure") == 2


def test_does_not_wait_for_ever(state: Path, play_role: PlayRole) -> None:
    packages(state, "iU |docker.io")
    (state / "locked").write_text(WORDINGS[1])
    (state / "for-ever").touch()
    played = play_role("dpkg", QUICK)
    assert played.status != 0
    assert "with pid 7" in played.output
