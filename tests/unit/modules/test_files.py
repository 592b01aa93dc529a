"""The module files, on real directories and with real programs as validators."""

from __future__ import annotations

import grp
import json
import os
import pwd
import shlex
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.labstack.stack.plugins.module_utils import file_sets
from ansible_collections.labstack.stack.plugins.modules import files as files_module

from tests.unit.conftest import RunKilled, RunModule

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")

# Fails for a file with the word "bad", says so, and notes each path that it was called for.
CHECKER = """#!/bin/sh
echo "$1" >> "$(dirname "$0")/checked"
if grep -n bad "$1" >&2; then echo "$1: bad word" >&2; exit 3; fi
"""


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    directory = tmp_path / "etc"
    directory.mkdir()
    return directory


@pytest.fixture
def checker(tmp_path: Path) -> Path:
    path = tmp_path / "tools" / "checker"
    path.parent.mkdir()
    path.write_text(CHECKER)
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def temporary_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return where check mode writes; it must leave nothing there."""
    directory = tmp_path / "tmp"
    directory.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    yield directory
    assert names(directory) == set()


def file(path: Path, content: str, validate: Sequence[str] = (), **others: Any) -> dict[str, Any]:
    return {"dest": str(path), "content": content, "validate": shlex.join(validate), **others}


def gone(path: Path) -> dict[str, Any]:
    return {"dest": str(path), "state": "absent"}


def checked(path: Path, content: str, checker: Path, **others: Any) -> dict[str, Any]:
    return file(path, content, validate=(str(checker), "%s"), **others)


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def calls(checker: Path) -> list[str]:
    """Return the names of the files that the checker was called for."""
    noted = checker.with_name("checked")
    return [Path(line).name for line in noted.read_text().splitlines()] if noted.exists() else []


# --- Writing ----------------------------------------------------------------------------------


def test_a_batch_is_written(run_module: RunModule, etc: Path) -> None:
    result = run_module(
        files_module.main,
        {
            "directories": [{"path": str(etc / "app"), "mode": "0750"}],
            "files": [
                file(etc / "app" / "a.conf", "a: ä\n", mode="0640"),
                file(etc / "b.conf", ""),
            ],
        },
    )
    assert result["changed"] is True
    assert result["changed_files"] == [
        str(etc / "app"),
        str(etc / "app" / "a.conf"),
        str(etc / "b.conf"),
    ]
    assert (etc / "app" / "a.conf").read_text() == "a: ä\n"
    assert (etc / "b.conf").read_text() == ""
    assert mode(etc / "app") == 0o750
    assert mode(etc / "app" / "a.conf") == 0o640
    assert mode(etc / "b.conf") == 0o644
    assert names(etc) == {"app", "b.conf"}
    assert names(etc / "app") == {"a.conf"}


def test_the_second_run_changes_nothing(run_module: RunModule, etc: Path, checker: Path) -> None:
    wanted = {
        "directories": [{"path": str(etc / "app")}],
        "files": [
            checked(etc / "app" / "a.conf", "a\n", checker),
            {"dest": str(etc / "s"), "secret_content": "password: hunter2"},
            gone(etc / "old"),
        ],
    }
    run_module(files_module.main, wanted)
    before = (etc / "app" / "a.conf").stat(), etc.stat(), (etc / "app").stat()
    result = run_module(files_module.main, wanted)
    assert result["changed"] is False
    assert result["changed_files"] == []
    assert ((etc / "app" / "a.conf").stat(), etc.stat(), (etc / "app").stat()) == before


def test_a_content_is_taken_as_it_is(run_module: RunModule, etc: Path) -> None:
    content = "no line break at the end, \t \\n %s {{ x }} \r\n\r\nend"
    run_module(files_module.main, {"files": [file(etc / "a", content)]})
    assert (etc / "a").read_bytes().decode() == content


def test_a_replaced_file_is_a_new_one(run_module: RunModule, etc: Path) -> None:
    """Who has the old file open keeps the whole old content."""
    (etc / "a").write_text("old")
    with (etc / "a").open() as reader:
        run_module(files_module.main, {"files": [file(etc / "a", "new")]})
        assert reader.read() == "old"
    assert (etc / "a").read_text() == "new"


def test_only_what_differs_is_replaced(run_module: RunModule, etc: Path) -> None:
    wanted = [file(etc / "a", "a"), file(etc / "b", "b")]
    run_module(files_module.main, {"files": wanted})
    before = (etc / "a").stat()
    result = run_module(files_module.main, {"files": [wanted[0], file(etc / "b", "c")]})
    assert result["changed_files"] == [str(etc / "b")]
    assert (etc / "a").stat() == before


def test_a_link_is_replaced_and_its_target_kept(run_module: RunModule, etc: Path) -> None:
    (etc / "target").write_text("same")
    (etc / "a").symlink_to("target")
    result = run_module(files_module.main, {"files": [file(etc / "a", "same")]})
    assert result["changed_files"] == [str(etc / "a")]
    assert not (etc / "a").is_symlink()
    assert (etc / "target").read_text() == "same"


def test_parents_of_a_directory_are_open_to_all(run_module: RunModule, etc: Path) -> None:
    wanted = {"directories": [{"path": str(etc / "a" / "b" / "c"), "mode": "0700"}]}
    previous = os.umask(0o077)
    try:
        run_module(files_module.main, wanted)
    finally:
        os.umask(previous)
    assert [mode(etc / path) for path in ("a", "a/b", "a/b/c")] == [0o755, 0o755, 0o700]


def test_old_files_are_removed(run_module: RunModule, etc: Path) -> None:
    (etc / "old").write_text("old")
    (etc / "link").symlink_to("nowhere")
    wanted = {"files": [gone(etc / name) for name in ("old", "link", "missing/x")]}
    result = run_module(files_module.main, wanted)
    assert result["changed_files"] == [str(etc / "old"), str(etc / "link")]
    assert names(etc) == set()
    assert run_module(files_module.main, wanted)["changed"] is False


# --- Owners and modes -------------------------------------------------------------------------


def test_a_wrong_mode_is_put_right_without_a_validation(
    run_module: RunModule, etc: Path, checker: Path
) -> None:
    wanted = {"files": [checked(etc / "a", "a", checker, mode="0640")]}
    run_module(files_module.main, wanted)
    (etc / "a").chmod(0o666)
    inode = (etc / "a").stat().st_ino
    result = run_module(files_module.main, wanted, diff=True)
    assert result["changed_files"] == [str(etc / "a")]
    assert mode(etc / "a") == 0o640
    assert (etc / "a").stat().st_ino == inode
    assert calls(checker) == ["a"]
    assert "mode: 0666" in result["diff"][0]["before"]
    assert "mode: 0640" in result["diff"][0]["after"]


def test_a_wrong_mode_of_a_directory_is_put_right(run_module: RunModule, etc: Path) -> None:
    wanted = {"directories": [{"path": str(etc), "mode": "0750"}]}
    assert run_module(files_module.main, wanted)["changed_files"] == [str(etc)]
    assert mode(etc) == 0o750


@needs_root
def test_owner_and_group_by_name_and_by_number(run_module: RunModule, etc: Path) -> None:
    user, group = pwd.getpwall()[-1], grp.getgrall()[-1]
    wanted = {
        "directories": [{"path": str(etc / "d"), "owner": user.pw_name, "group": "4711"}],
        "files": [file(etc / "a", "a", owner="4711", group=group.gr_name)],
    }
    run_module(files_module.main, wanted)
    info = (etc / "d").stat()
    assert (info.st_uid, info.st_gid) == (user.pw_uid, 4711)
    info = (etc / "a").stat()
    assert (info.st_uid, info.st_gid) == (4711, group.gr_gid)
    assert run_module(files_module.main, wanted)["changed"] is False
    os.chown(etc / "a", 0, 0)
    assert run_module(files_module.main, wanted)["changed_files"] == [str(etc / "a")]


def test_an_owner_that_does_not_exist(run_module: RunModule, etc: Path) -> None:
    wanted = {"files": [file(etc / "a", "a", owner="nobody-knows")]}
    result = run_module(files_module.main, wanted)
    assert "There is no user 'nobody-knows'" in result["msg"]
    assert names(etc) == set()


@pytest.mark.parametrize("wrong", [420, "420", "644", "rw-r--r--", "0800", ""])
def test_a_mode_that_is_not_four_octal_digits(wrong: Any, run_module: RunModule, etc: Path) -> None:
    """An unquoted 0644 in YAML is the number 420."""
    result = run_module(files_module.main, {"files": [file(etc / "a", "a", mode=wrong)]})
    if wrong == "":
        assert mode(etc / "a") == 0o644
    else:
        assert 'mode: "0644"' in result["msg"]


# --- Validation -------------------------------------------------------------------------------


def test_one_invalid_file_replaces_none(run_module: RunModule, etc: Path, checker: Path) -> None:
    (etc / "first").write_text("old first")
    result = run_module(
        files_module.main,
        {
            "files": [
                checked(etc / "first", "good", checker),
                checked(etc / "second", "bad", checker),
                checked(etc / "third", "good", checker),
                gone(etc / "checker-never-asked"),
            ],
        },
    )
    assert result["failed"] is True
    assert (etc / "first").read_text() == "old first"
    assert names(etc) == {"first"}
    message = result["msg"]
    assert f"{etc / 'second'} would be invalid" in message
    assert "nothing was replaced" in message
    assert f"{etc / 'second'}: bad word" in message, "the path of the file, not of the candidate"
    assert f"{checker} {etc / 'second'} says" in message
    assert ".labstack" not in message


def test_an_unchanged_batch_is_not_validated(
    run_module: RunModule, etc: Path, checker: Path
) -> None:
    wanted = {"files": [checked(etc / "a", "a", checker), checked(etc / "b", "b", checker)]}
    run_module(files_module.main, wanted)
    assert calls(checker) == ["a", "b"]
    run_module(files_module.main, wanted)
    assert calls(checker) == ["a", "b"]


def test_a_change_of_one_file_validates_all(
    run_module: RunModule, etc: Path, checker: Path
) -> None:
    run_module(files_module.main, {"files": [checked(etc / "a", "a", checker)]})
    wanted = {"files": [checked(etc / "a", "a", checker), file(etc / "b", "b")]}
    run_module(files_module.main, wanted)
    assert calls(checker) == ["a", "a"]


def test_a_candidate_has_the_files_name_owner_and_mode(
    run_module: RunModule, etc: Path, tmp_path: Path
) -> None:
    show = ["sh", "-c", f"stat -c '%n %a' $0 > {tmp_path}/seen", "%s"]
    run_module(
        files_module.main, {"files": [file(etc / "x.service", "a", mode="0640", validate=show)]}
    )
    path, permissions = (tmp_path / "seen").read_text().split()
    assert path.endswith("/x.service")
    assert Path(path).parent.parent == etc, "beside the target: in the same filesystem"
    assert permissions == "640"


INCLUDES = ["sh", "-c", 'cd "$(dirname "$0")" && cat $(cat "$0")', "%s"]


def test_relative_references_lead_to_the_new_files(run_module: RunModule, etc: Path) -> None:
    """On a first run a file names another one that is not in its place yet."""
    wanted = {
        "directories": [{"path": str(etc / "rules")}],
        "files": [
            file(etc / "main", "part rules/one", validate=INCLUDES),
            file(etc / "part", "part"),
            file(etc / "rules" / "one", "rule"),
        ],
    }
    result = run_module(files_module.main, wanted)
    assert result["changed"] is True, result
    assert result["unvalidated"] == []


def test_relative_references_lead_to_existing_files(run_module: RunModule, etc: Path) -> None:
    (etc / "there").write_text("there")
    (etc / "deep").mkdir()
    (etc / "deep" / "down").write_text("down")
    wanted = {"files": [file(etc / "main", "there deep/down", validate=INCLUDES)]}
    assert run_module(files_module.main, wanted)["changed"] is True


def test_a_file_that_goes_is_gone_for_the_validation(run_module: RunModule, etc: Path) -> None:
    (etc / "old").write_text("old")
    wanted = {
        "files": [file(etc / "main", "old", validate=INCLUDES), gone(etc / "old")],
    }
    result = run_module(files_module.main, wanted)
    assert "No such file" in result["msg"]
    assert names(etc) == {"old"}


def test_a_validator_that_is_not_installed(run_module: RunModule, etc: Path) -> None:
    wanted = {"files": [file(etc / "a", "a", validate=["/no/such/program", "%s"])]}
    result = run_module(files_module.main, wanted)
    assert "cannot run /no/such/program: No such file or directory" in result["msg"]
    assert names(etc) == set()


def test_a_validator_without_words(run_module: RunModule, etc: Path) -> None:
    wanted = {"files": [file(etc / "a", "a", validate=["test", "!", "-e", "%s"])]}
    assert "exit status 1" in run_module(files_module.main, wanted)["msg"]


def test_a_validator_that_never_ends(
    run_module: RunModule, etc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_sets, "_VALIDATE_TIMEOUT", 0.2)
    wanted = {"files": [file(etc / "a", "a", validate=["sh", "-c", "exec sleep 60", "%s"])]}
    assert "no answer within" in run_module(files_module.main, wanted)["msg"]


def test_a_validator_that_does_not_get_the_file(run_module: RunModule, etc: Path) -> None:
    wanted = {"files": [file(etc / "a", "a", validate=["promtool", "check"])]}
    assert "validate: promtool check %s" in run_module(files_module.main, wanted)["msg"]


def test_the_path_may_be_a_part_of_an_argument(run_module: RunModule, etc: Path) -> None:
    (etc / "target").write_text("x")
    wanted = {"files": [file(etc / "a", "a", validate=["dd", "if=%s", "of=/dev/null"])]}
    assert run_module(files_module.main, wanted)["changed"] is True


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed here")
def test_systemd_checks_a_unit_by_its_name(run_module: RunModule, etc: Path) -> None:
    unit = "[Service]\nExecStart={program}\n"
    verify = ["systemd-analyze", "verify", "--man=no", "%s"]

    def write(program: str) -> dict[str, Any]:
        content = unit.format(program=program)
        wanted = file(etc / "labstack-unit-test.service", content, validate=verify)
        return run_module(files_module.main, {"files": [wanted]})

    assert "/no/such/program" in write("/no/such/program")["msg"]
    assert names(etc) == set()
    assert write(shutil.which("true") or "/bin/true")["changed"] is True


# --- Diff and secrets -------------------------------------------------------------------------


def test_the_diff_shows_before_and_after(run_module: RunModule, etc: Path) -> None:
    (etc / "a").write_text("old\n")
    (etc / "gone").write_text("gone")
    wanted = {
        "directories": [{"path": str(etc / "d"), "mode": "0700"}],
        "files": [file(etc / "a", "new\n"), gone(etc / "gone")],
    }
    diff = run_module(files_module.main, wanted, diff=True)["diff"]
    assert [entry["after_header"] for entry in diff] == [
        str(etc / name) for name in ("d", "a", "gone")
    ]
    assert (diff[1]["before"], diff[1]["after"]) == ("old\n", "new\n")
    assert "mode: 0700" in diff[0]["after"]
    assert diff[2]["after"] == ""


def test_without_diff_mode_there_is_no_diff(run_module: RunModule, etc: Path) -> None:
    assert "diff" not in run_module(files_module.main, {"files": [file(etc / "a", "a")]})


def secret_file(path: Path, content: str, validate: Sequence[str] = ()) -> dict[str, Any]:
    return {"dest": str(path), "secret_content": content, "validate": shlex.join(validate)}


def test_a_secret_is_for_its_owner_alone(run_module: RunModule, etc: Path) -> None:
    run_module(files_module.main, {"files": [secret_file(etc / "s", "secret")]})
    assert (etc / "s").read_text() == "secret"
    assert mode(etc / "s") == 0o600


def test_an_empty_secret_is_a_content_too(run_module: RunModule, etc: Path) -> None:
    run_module(files_module.main, {"files": [secret_file(etc / "s", "")]})
    assert (etc / "s").read_text() == ""


def test_a_secret_appears_nowhere(
    run_module: RunModule, etc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[str] = []
    monkeypatch.setattr(
        file_sets.FilesModule, "log", lambda _, message, **__: logged.append(message)
    )
    old, new = "user: 'me'\npassword: old-hunter2\n", "user: 'me'\npassword: new-hunter2\n"
    (etc / "s").write_text(old)
    for check in (True, False):
        result = run_module(
            files_module.main, {"files": [secret_file(etc / "s", new)]}, check=check, diff=True
        )
        assert result["changed_files"] == [str(etc / "s")]
        shown = json.dumps(result) + "".join(logged)
        assert "hunter2" not in shown
        assert result["diff"][0]["before"] != result["diff"][0]["after"]


def test_a_validators_words_show_no_secret_value(run_module: RunModule, etc: Path) -> None:
    content = "users:\n  monitor: 'hash-of-monitor'\npassword=hunter2-hunter2\nusres: oops-oops\n"
    repeat = ["sh", "-c", 'echo "line 4: no such field usres"; cat "$0"; exit 1', "%s"]
    result = run_module(
        files_module.main, {"files": [secret_file(etc / "s", content, validate=repeat)]}
    )
    assert "line 4: no such field usres" in result["msg"]
    for value in ("hash-of-monitor", "hunter2-hunter2", "oops-oops"):
        assert value not in json.dumps(result)


# --- Check mode -------------------------------------------------------------------------------


def test_check_mode_on_a_blank_host(run_module: RunModule, etc: Path) -> None:
    """User, group, directory and validator would all exist in a real run."""
    wanted = {
        "directories": [
            {"path": str(etc / "app"), "owner": "no-such-user", "group": "no-such-group"}
        ],
        "files": [
            file(
                etc / "app" / "a.conf",
                "a",
                owner="no-such-user",
                group="no-such-group",
                validate=["/no/such/program", "%s"],
            ),
            file(etc / "app" / "b.conf", "b", validate=["test", "-s", "%s"]),
            gone(etc / "app" / "old"),
        ],
    }
    result = run_module(files_module.main, wanted, check=True, diff=True)
    assert result.get("failed") is None, result
    assert result["changed_files"] == [
        str(etc / name) for name in ("app", "app/a.conf", "app/b.conf")
    ]
    assert result["unvalidated"] == [str(etc / "app" / "a.conf")]
    assert "cannot run /no/such/program" in result["warnings"][0]
    assert "owner: (new)" in result["diff"][0]["after"]
    assert names(etc) == set()


def test_check_mode_validates_what_it_can(run_module: RunModule, etc: Path, checker: Path) -> None:
    wanted = {"files": [checked(etc / "a", "bad", checker), checked(etc / "b", "ok", checker)]}
    result = run_module(files_module.main, wanted, check=True)
    assert calls(checker) == ["a", "b"]
    assert result["unvalidated"] == [str(etc / "a")]
    assert f"{etc / 'a'}: bad word" in result["warnings"][0]
    assert names(etc) == set()


def test_check_mode_follows_relative_references(run_module: RunModule, etc: Path) -> None:
    (etc / "there").write_text("there")
    wanted = {
        "directories": [{"path": str(etc / "rules")}],
        "files": [
            file(etc / "main", "there rules/one", validate=INCLUDES),
            file(etc / "rules" / "one", "rule"),
        ],
    }
    assert run_module(files_module.main, wanted, check=True)["unvalidated"] == []
    assert names(etc) == {"there"}


def test_check_mode_on_a_converged_host(run_module: RunModule, etc: Path, checker: Path) -> None:
    wanted = {
        "directories": [{"path": str(etc / "app")}],
        "files": [checked(etc / "app" / "a", "a", checker)],
    }
    run_module(files_module.main, wanted)
    assert run_module(files_module.main, wanted, check=True)["changed"] is False
    assert calls(checker) == ["a"]


def test_check_mode_changes_no_mode_and_removes_nothing(run_module: RunModule, etc: Path) -> None:
    (etc / "a").write_text("a")
    (etc / "a").chmod(0o600)
    (etc / "old").write_text("old")
    wanted = {"files": [file(etc / "a", "a"), gone(etc / "old")]}
    result = run_module(files_module.main, wanted, check=True)
    assert result["changed_files"] == [str(etc / "a"), str(etc / "old")]
    assert mode(etc / "a") == 0o600
    assert (etc / "old").exists()


# --- What goes wrong --------------------------------------------------------------------------


def test_a_missing_directory_names_the_option(run_module: RunModule, etc: Path) -> None:
    wanted = {"files": [file(etc / "x", "x"), file(etc / "no" / "a", "a")]}
    result = run_module(files_module.main, wanted)
    assert f"directories: [{{path: {etc / 'no'}}}]" in result["msg"]
    assert names(etc) == set()


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("directories", "is not a directory"),
        ("files", "is not a regular file"),
        ("absent", "removes only files"),
    ],
)
def test_something_else_in_the_place(
    option: str, words: str, check: bool, run_module: RunModule, etc: Path
) -> None:
    path = etc / "thing"
    if option == "directories":
        path.write_text("a file")
    else:
        path.mkdir()
    entry = {
        "directories": {"path": str(path)},
        "files": file(path, "a"),
        "absent": gone(path),
    }[option]
    name = "files" if option == "absent" else option
    result = run_module(files_module.main, {name: [entry]}, check=check)
    assert result["failed"] is True
    assert str(path) in result["msg"]
    assert words in result["msg"]
    assert path.exists()


def test_a_path_below_a_file(run_module: RunModule, etc: Path) -> None:
    (etc / "file").write_text("in the way")
    wanted = {"files": [file(etc / "file" / "a", "a")]}
    result = run_module(files_module.main, wanted)
    assert result["failed"] is True
    assert str(etc / "file") in result["msg"]


def test_a_path_twice(run_module: RunModule, etc: Path) -> None:
    wanted = {"files": [file(etc / "a", "a"), gone(etc / "a")]}
    assert "is listed twice" in run_module(files_module.main, wanted)["msg"]


def test_a_relative_path(run_module: RunModule) -> None:
    wanted = {"files": [file(Path("a.conf"), "a")]}
    assert "no absolute path" in run_module(files_module.main, wanted)["msg"]


@pytest.mark.parametrize("contents", [{}, {"content": "a", "secret_content": "b"}])
def test_one_content_a_file(contents: dict[str, str], run_module: RunModule, etc: Path) -> None:
    result = run_module(files_module.main, {"files": [{"dest": str(etc / "a"), **contents}]})
    assert result["failed"] is True
    assert "content" in result["msg"]


# --- Killed -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kill",
    [
        pytest.param(("fsync", 1), id="writing the first candidate"),
        pytest.param(("fsync", 2), id="writing the second candidate"),
        pytest.param(("symlink", 1), id="preparing the validation"),
        pytest.param(("replace", 1), id="before the first rename"),
        pytest.param(("replace", 2), id="between the renames"),
    ],
)
def test_a_run_killed_in_the_middle_is_healed_by_the_next(
    kill: tuple[str, int],
    run_module: RunModule,
    run_killed: RunKilled,
    etc: Path,
    checker: Path,
) -> None:
    for name in ("a", "b", "other"):
        (etc / name).write_text("old")
    wanted = {"files": [checked(etc / "a", "new", checker), checked(etc / "b", "new", checker)]}
    run_killed("files", wanted, *kill)
    assert (etc / "a").read_text() in ("old", "new")
    assert (etc / "b").read_text() == "old"
    assert len(names(etc)) > 3, "it was killed too late to show anything"

    result = run_module(files_module.main, wanted)
    assert str(etc / "b") in result["changed_files"]
    assert (etc / "a").read_text() == (etc / "b").read_text() == "new"
    assert names(etc) == {"a", "b", "other"}


def test_what_a_killed_run_left_goes_even_if_nothing_differs(
    run_module: RunModule, etc: Path
) -> None:
    (etc / "a").write_text("a")
    (etc / ".labstack-new-dir").mkdir()
    (etc / ".labstack-new-dir" / "a").write_text("half")
    (etc / ".labstack-new-file").write_text("half")
    (etc / ".labstack-new-link").symlink_to(etc)
    result = run_module(files_module.main, {"files": [file(etc / "a", "a")]})
    assert result["changed"] is False
    assert names(etc) == {"a"}


def test_a_failed_rename_tells_the_file(
    run_module: RunModule, etc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Path, target: Path) -> None:
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(Path, "replace", full)
    result = run_module(files_module.main, {"files": [file(etc / "a", "a")]})
    assert f"Cannot write {etc / 'a'}: No space left on device" in result["msg"]
    assert names(etc) == set()


# --- Units ------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [(249, False), (250, True)])
def test_a_unit_is_checked_without_being_asked_for_as_far_as_systemd_can(
    version: tuple[int, bool],
    run_module: RunModule,
    etc: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    number, own_only = version
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "systemctl").write_text(f"#!/bin/sh\necho 'systemd {number} ({number}.1)'\n")
    (programs / "systemd-analyze").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\n')
    for program in programs.iterdir():
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setattr(file_sets, "_UNITS", etc)
    file_sets.systemd_version.cache_clear()
    wanted = {"files": [file(etc / "x.timer", "[Timer]\n"), file(etc / "x.conf", "x")]}
    run_module(files_module.main, wanted)
    file_sets.systemd_version.cache_clear()
    asked = (tmp_path / "asked").read_text()
    assert asked.startswith("verify --man=no")
    assert ("--recursive-errors=no" in asked) is own_only
    assert "x.timer" in asked
