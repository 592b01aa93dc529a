"""remove_from_host: everything that is named goes, and nothing that is too much."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.labstack.stack.plugins.modules import remove_from_host

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.conftest import RunModule


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Programs that write down how they are called; systemctl knows one unit, `tool`."""
    log = tmp_path / "log"
    log.touch()
    programs = tmp_path / "bin"
    programs.mkdir()
    say = f'echo "$(basename "$0") $*" >> {log}\n'
    for name in ("userdel", "groupdel"):
        (programs / name).write_text(f"#!/bin/sh\n{say}")
    (programs / "systemctl").write_text(
        f"#!/bin/sh\n[ $1 = show ] || {say}"
        'case "$*" in\n'
        '"show "*tool.service) printf "LoadState=loaded\\nActiveState=active\\n" ;;\n'
        '"show "*) printf "LoadState=not-found\\nActiveState=inactive\\n" ;;\n'
        "esac\n"
    )
    for program in programs.iterdir():
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setattr(remove_from_host, "STAMPS", tmp_path / "stamps")
    return log


def test_units_files_users_and_groups_go(
    run_module: RunModule, commands: Path, tmp_path: Path
) -> None:
    tree = tmp_path / "etc" / "tool"
    tree.mkdir(parents=True)
    (tree / "file").write_text("x")
    outside = tmp_path / "outside"
    outside.mkdir()
    link = tmp_path / "etc" / "link"
    link.symlink_to(outside)
    options: dict[str, Any] = {
        "units": ["tool", "missing"],
        "paths": [str(tree), str(link), str(tmp_path / "missing")],
        "empty_directories": [str(tmp_path / "etc")],
        "users": ["nobody", "no-such-user"],
        "groups": ["no-such-group"],
    }
    told = run_module(remove_from_host.main, options, check=True)
    assert tree.exists()
    assert commands.read_text() == ""

    result = run_module(remove_from_host.main, options)
    assert result["changed"]
    assert result["removed"] == [
        "unit tool",
        f"path {tree}",
        f"path {link}",
        f"path {tmp_path / 'etc'}",
        "user nobody",
    ]
    # What becomes empty on the way cannot be known beforehand.
    assert set(told["removed"]) == set(result["removed"]) - {f"path {tmp_path / 'etc'}"}
    assert not tree.exists()
    assert outside.exists()
    assert commands.read_text().splitlines() == [
        "systemctl stop tool.service",
        "systemctl is-enabled --quiet tool.service",
        "systemctl disable tool.service",
        "systemctl daemon-reload",
        "userdel nobody",
    ]


@pytest.mark.usefixtures("commands")
def test_nothing_there_changes_nothing(run_module: RunModule, tmp_path: Path) -> None:
    options = {"units": ["missing"], "paths": [str(tmp_path / "missing")], "users": ["nobody-x"]}
    result = run_module(remove_from_host.main, options)
    assert (result["changed"], result["removed"]) == (False, [])


@pytest.mark.usefixtures("commands")
def test_a_directory_with_something_in_it_stays(run_module: RunModule, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "file").touch()
    options = {"empty_directories": [str(tmp_path / "here")]}
    assert not run_module(remove_from_host.main, options)["changed"]


@pytest.mark.parametrize("path", ["/", "/etc", "relative/path", "/var/lib/../../etc"])
def test_a_path_that_is_too_much_is_refused(run_module: RunModule, path: str) -> None:
    result = run_module(remove_from_host.main, {"paths": [path]})
    assert result["failed"], json.dumps(result)
    assert "is not removed" in result["msg"]


@pytest.mark.usefixtures("commands")
def test_a_mount_point_is_emptied(
    run_module: RunModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = tmp_path / "disk"
    (disk / "tree").mkdir(parents=True)
    (disk / "tree" / "file").touch()
    monkeypatch.setattr("os.path.ismount", lambda path: str(path) == str(disk))
    monkeypatch.setattr("pathlib.Path.is_mount", lambda path: path == disk)
    options = {"paths": [str(disk)]}
    assert run_module(remove_from_host.main, options)["changed"]
    assert list(disk.iterdir()) == []
    assert not run_module(remove_from_host.main, options)["changed"]


def test_a_timer_is_a_unit_too(run_module: RunModule, commands: Path) -> None:
    result = run_module(remove_from_host.main, {"units": ["tool.timer", "tool"]})
    assert result["removed"] == ["unit tool"]
    assert "tool.service" in commands.read_text()
    assert "tool.timer" not in commands.read_text()
