"""What an interrupted dpkg leaves behind, played by programs that keep states in a file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.labstack.stack.plugins.modules import interrupted_dpkg as module

from tests.unit.conftest import RunModule

DPKG = """#!/bin/sh
echo "dpkg $*" >> "$STATE/calls"
case $1 in
    --configure)
        if [ -e "$STATE/locked" ]; then
            rm "$STATE/locked"
            echo "dpkg: error: dpkg frontend lock was locked by another process with pid 7" >&2
            exit 2
        fi
        rm -f "$STATE"/updates/*
        sed -i 's/^iU /ii /' "$STATE/packages"
        ! grep -q '^iF' "$STATE/packages" ;;
    --remove) sed -i "/|$3\\$/d" "$STATE/packages" ;;
esac
"""
APT = """#!/bin/sh
echo "apt-get $*" >> "$STATE/calls"
[ -e "$STATE/offline" ] && { echo "E: Unable to fetch some archives" >&2; exit 100; }
sed -i 's/^iF /ii /' "$STATE/packages"
"""
QUERY = """#!/bin/sh
cat "$STATE/packages"
"""


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (("dpkg", DPKG), ("apt-get", APT), ("dpkg-query", QUERY)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("STATE", str(tmp_path))
    monkeypatch.setattr(module, "JOURNAL", tmp_path / "updates")
    monkeypatch.setattr(module, "LOCK_POLL", 0.01)
    (tmp_path / "updates").mkdir()
    (tmp_path / "calls").touch()
    return tmp_path


def packages(state: Path, *lines: str) -> None:
    (state / "packages").write_text("".join(f"{line}\n" for line in lines))


def test_nothing_is_done_where_nothing_was_interrupted(state: Path, run_module: RunModule) -> None:
    packages(state, "ii |bash", "rc |old", "hi |grafana", "un |never")
    result = run_module(module.main, {})
    assert result["changed"] is False
    assert (state / "calls").read_text() == ""


def test_a_journal_is_gone_through(state: Path, run_module: RunModule) -> None:
    packages(state, "ii |bash")
    (state / "updates/0003").touch()
    assert run_module(module.main, {})["changed"] is True
    assert not list((state / "updates").iterdir())
    assert run_module(module.main, {})["changed"] is False


def test_what_is_unpacked_is_configured(state: Path, run_module: RunModule) -> None:
    packages(state, "ii |bash", "iU |docker.io")
    result = run_module(module.main, {})
    assert (result["changed"], result["packages"]) == (True, ["iU docker.io"])
    assert "apt-get" not in (state / "calls").read_text()


def test_what_is_unpacked_halfway_is_taken_away(state: Path, run_module: RunModule) -> None:
    packages(state, "ii |bash", "iHR|containerd")
    assert run_module(module.main, {})["changed"] is True
    assert (state / "packages").read_text() == "ii |bash\n"


def test_apt_brings_what_a_package_waits_for(state: Path, run_module: RunModule) -> None:
    packages(state, "iF |docker.io")
    assert run_module(module.main, {})["changed"] is True
    assert "--fix-broken" in (state / "calls").read_text()


def test_what_cannot_be_finished_is_told(state: Path, run_module: RunModule) -> None:
    packages(state, "iF |docker.io")
    (state / "offline").touch()
    result = run_module(module.main, {})
    assert result["failed"]
    assert "iF docker.io" in result["msg"]
    assert "Unable to fetch" in result["msg"]
    assert "sudo dpkg --configure -a" in result["msg"]


def test_waits_while_another_program_uses_dpkg(state: Path, run_module: RunModule) -> None:
    packages(state, "iU |docker.io")
    (state / "locked").touch()
    assert run_module(module.main, {})["changed"] is True
    assert (state / "calls").read_text().count("--configure") == 2


def test_does_not_wait_for_ever(state: Path, run_module: RunModule) -> None:
    packages(state, "iU |docker.io")
    (state / "locked").touch()
    result = run_module(module.main, {"lock_timeout": -1})
    assert result["failed"]
    assert "lock-frontend" in result["msg"]


def test_check_mode_tells_and_does_nothing(state: Path, run_module: RunModule) -> None:
    packages(state, "iU |docker.io")
    assert run_module(module.main, {}, check=True)["changed"] is True
    assert (state / "calls").read_text() == ""
