"""The role removal: everything that is named goes, and nothing that is too much."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.play_role import PlayRole


def test_files_and_empty_directories_go_and_the_rest_stays(
    play_role: PlayRole, tmp_path: Path
) -> None:
    etc, data = tmp_path / "etc", tmp_path / "var" / "data"
    (etc / "tool").mkdir(parents=True)
    (etc / "tool" / "file").write_text("x")
    (data / "deep").mkdir(parents=True)
    outside, used = tmp_path / "outside", tmp_path / "used"
    for directory in (outside, used):
        directory.mkdir()
        (directory / "file").touch()
    (etc / "link").symlink_to(outside)
    variables = {
        "removal_paths": [str(etc / "tool"), str(etc / "link"), str(tmp_path / "missing")],
        "removal_data": [str(data), str(tmp_path / "no-data")],
        "removal_empty_directories": [
            str(p) for p in (etc, used, data.parent, tmp_path / "missing")
        ],
        "removal_users": ["no-such-user"],
        "removal_groups": ["no-such-group"],
    }
    told = play_role("removal", variables, "--check")
    assert told.status == 0, told.output
    assert told.changed > 0
    assert (etc / "tool" / "file").exists()
    assert data.exists()

    played = play_role("removal", variables)
    assert played.status == 0, played.output
    assert played.changed > 0
    assert not etc.exists()
    assert not data.parent.exists()
    assert (outside / "file").exists()
    assert (used / "file").exists()

    for options in ((), ("--check",)):
        again = play_role("removal", variables, *options)
        assert (again.status, again.changed) == (0, 0), again.output


@pytest.mark.parametrize("path", ["/etc", "/var/lib/../../etc"])
def test_a_path_that_is_too_much_is_refused(play_role: PlayRole, path: str) -> None:
    # In check mode: should the guard be gone, the machine that tests it is not.
    played = play_role("removal", {"removal_paths": [path]}, "--check")
    assert played.status != 0
    assert "is not removed" in played.output


def test_a_mount_point_is_emptied_and_stays(
    play_role: PlayRole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, programs = tmp_path / "disk", tmp_path / "bin"
    (disk / "tree").mkdir(parents=True)
    (disk / "tree" / "file").touch()
    (disk / ".hidden").touch()
    programs.mkdir()
    # Says of everything that it is a mount point.
    (programs / "mountpoint").symlink_to("/bin/true")
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    variables = {"removal_data": [str(disk)]}
    played = play_role("removal", variables)
    assert (played.status, played.changed) == (0, 1), played.output
    assert list(disk.iterdir()) == []
    assert play_role("removal", variables, "--check").changed == 0
