"""The module secret_files, on a real directory."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.labstack.stack.plugins.modules import secret_files

from tests.unit.conftest import ROOT, RunKilled, RunModule

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to a group")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "labstack" / "secrets"


def options(directory: Path, *secrets: dict[str, Any]) -> dict[str, Any]:
    return {"directory": str(directory), "secrets": list(secrets)}


def put(directory: Path, name: str, content: str | bytes) -> Path:
    """Write a secret's file as a person would find it on a converged host."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(0o600)
    return path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


# --- Missing secrets --------------------------------------------------------------------------


def test_a_missing_secret_is_created(run_module: RunModule, directory: Path) -> None:
    result = run_module(secret_files.main, options(directory, {"name": "db_password"}))
    value = result["secrets"]["db_password"]
    assert re.fullmatch(r"[A-Za-z0-9]{32}", value)
    assert (directory / "db_password").read_text() == value
    assert result["created"] == ["db_password"]
    assert result["changed"] is True


def test_files_and_directory_are_for_root_alone(run_module: RunModule, directory: Path) -> None:
    previous = os.umask(0)
    try:
        run_module(secret_files.main, options(directory, {"name": "a"}))
    finally:
        os.umask(previous)
    assert mode(directory) == 0o700
    assert mode(directory.parent) == 0o755
    assert mode(directory / "a") == 0o600
    assert (directory / "a").stat().st_uid == os.geteuid()


def test_a_strict_umask_locks_nobody_out_of_the_parents(
    run_module: RunModule, directory: Path
) -> None:
    previous = os.umask(0o077)
    try:
        run_module(secret_files.main, options(directory, {"name": "a"}))
    finally:
        os.umask(previous)
    assert mode(directory.parent) == 0o755


def test_each_secret_is_another_one(run_module: RunModule, directory: Path) -> None:
    wanted = [{"name": f"s{number}"} for number in range(20)]
    result = run_module(secret_files.main, options(directory, *wanted))
    assert len(set(result["secrets"].values())) == 20


def test_the_length_can_be_chosen(run_module: RunModule, directory: Path) -> None:
    result = run_module(secret_files.main, options(directory, {"name": "a", "length": 64}))
    assert len(result["secrets"]["a"]) == 64


def test_a_file_of_zero_bytes_counts_as_missing(run_module: RunModule, directory: Path) -> None:
    put(directory, "a", "")
    result = run_module(secret_files.main, options(directory, {"name": "a"}))
    assert len(result["secrets"]["a"]) == 32
    assert result["created"] == ["a"]
    assert (directory / "a").read_text() == result["secrets"]["a"]


@needs_root
def test_a_group_may_read_its_secret(run_module: RunModule, directory: Path) -> None:
    wanted = options(directory, {"name": "a", "gid": 10001}, {"name": "b"})
    run_module(secret_files.main, wanted)
    info = (directory / "a").stat()
    assert (info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)) == (0, 10001, 0o440)
    info = (directory / "b").stat()
    assert (info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)) == (0, 0, 0o600)
    assert run_module(secret_files.main, wanted)["changed"] is False


# --- Existing secrets -------------------------------------------------------------------------


def written(directory: Path) -> dict[str, tuple[int, int]]:
    """Return which file each name is, and when it or its rights changed."""
    return {p.name: (p.stat().st_ino, p.stat().st_ctime_ns) for p in directory.iterdir()}


def test_the_second_run_returns_the_same_and_changes_nothing(
    run_module: RunModule, directory: Path
) -> None:
    wanted = options(directory, {"name": "a"}, {"name": "b", "value": "given"})
    first = run_module(secret_files.main, wanted)
    before = written(directory)
    second = run_module(secret_files.main, wanted)
    assert second["changed"] is False
    assert second["created"] == []
    assert second["secrets"] == first["secrets"]
    assert second["versions"] == first["versions"]
    assert written(directory) == before


def test_an_existing_secret_is_kept(run_module: RunModule, directory: Path) -> None:
    put(directory, "a", "chosen long ago")
    result = run_module(
        secret_files.main, options(directory, {"name": "a", "value": None, "length": 64})
    )
    assert result["secrets"] == {"a": "chosen long ago"}
    assert result["changed"] is False


def test_a_line_break_at_the_end_is_no_part_of_the_secret(
    run_module: RunModule, directory: Path
) -> None:
    put(directory, "a", "typed with echo\n")
    wanted = {"name": "a", "value": "typed with echo"}
    result = run_module(secret_files.main, options(directory, wanted))
    assert result["secrets"] == {"a": "typed with echo"}
    assert result["changed"] is False


def test_files_of_others_are_left_alone(run_module: RunModule, directory: Path) -> None:
    other = put(directory, "other", "")
    run_module(secret_files.main, options(directory, {"name": "a"}))
    assert other.read_text() == ""


@pytest.mark.parametrize("wrong", [0o644, 0o400, 0o660])
def test_a_wrong_mode_is_put_right(wrong: int, run_module: RunModule, directory: Path) -> None:
    path = put(directory, "a", "secret")
    path.chmod(wrong)
    result = run_module(secret_files.main, options(directory, {"name": "a"}))
    assert result["changed"] is True
    assert result["created"] == []
    assert mode(path) == 0o600


@needs_root
def test_a_wrong_owner_and_group_are_put_right(run_module: RunModule, directory: Path) -> None:
    path = put(directory, "a", "secret")
    os.chown(path, 1234, 1234)
    os.chown(directory, 1234, 1234)
    assert run_module(secret_files.main, options(directory, {"name": "a"}))["changed"] is True
    for info in (path.stat(), directory.stat()):
        assert (info.st_uid, info.st_gid) == (0, 0)


def test_an_open_directory_is_closed(run_module: RunModule, directory: Path) -> None:
    put(directory, "a", "secret")
    directory.chmod(0o755)
    assert run_module(secret_files.main, options(directory, {"name": "a"}))["changed"] is True
    assert mode(directory) == 0o700


# --- Given values -----------------------------------------------------------------------------


def test_a_given_value_wins(run_module: RunModule, directory: Path) -> None:
    put(directory, "a", "the old one")
    result = run_module(
        secret_files.main, options(directory, {"name": "a", "value": "the new one"})
    )
    assert result["secrets"] == {"a": "the new one"}
    assert (directory / "a").read_text() == "the new one"
    assert result["changed"] is True
    assert result["created"] == []


def test_a_given_value_is_returned_as_it_is_even_if_it_is_part_of_everything(
    run_module: RunModule, directory: Path
) -> None:
    result = run_module(
        secret_files.main, options(directory, {"name": "a", "value": "a"}, {"name": "b"})
    )
    assert result["secrets"]["a"] == "a"
    assert result["created"] == ["a", "b"]


def test_the_version_changes_with_the_value_alone(run_module: RunModule, directory: Path) -> None:
    def version(**wanted: Any) -> str:
        result = run_module(secret_files.main, options(directory, {"name": "a", **wanted}))
        return str(result["versions"]["a"])

    first = version(value="one")
    assert first.isdigit()
    (directory / "a").chmod(0o644)
    assert version(value="one") == first
    assert version(value="two") != first


@pytest.mark.parametrize("empty", ["", " ", "\n"])
def test_an_empty_value_names_the_variable_to_set(
    empty: str, run_module: RunModule, directory: Path
) -> None:
    put(directory, "grafana_admin_password", "the old one")
    result = run_module(
        secret_files.main, options(directory, {"name": "grafana_admin_password", "value": empty})
    )
    assert result["failed"] is True
    assert 'vault_grafana_admin_password: "…"' in result["msg"]
    assert (directory / "grafana_admin_password").read_text() == "the old one"


def test_a_value_that_is_too_short_is_refused_before_anything_is_kept(
    run_module: RunModule, directory: Path
) -> None:
    short = {"name": "monitoring_password", "value": "x" * 19 + "\n", "min_length": 20}
    first = {"name": "webapp_db_password"}
    result = run_module(secret_files.main, options(directory, first, short))
    assert result["failed"]
    assert "vault_monitoring_password" in result["msg"]
    assert "20 characters" in result["msg"]
    assert not directory.exists()
    long = {**short, "value": "x" * 20}
    assert run_module(secret_files.main, options(directory, first, long))["changed"]


def test_a_value_of_several_lines_is_kept(run_module: RunModule, directory: Path) -> None:
    key = "-----BEGIN KEY-----\nabc\n-----END KEY-----\n"
    wanted = options(directory, {"name": "key", "value": key})
    assert run_module(secret_files.main, wanted)["secrets"]["key"] == key.rstrip("\n")
    assert run_module(secret_files.main, wanted)["changed"] is False


# --- Nothing leaks ----------------------------------------------------------------------------


def test_the_invocation_shows_no_value(run_module: RunModule, directory: Path) -> None:
    result = run_module(
        secret_files.main,
        options(directory, {"name": "a", "value": "hunter2-is-long"}, {"name": "b"}),
    )
    invocation = json.dumps(result["invocation"])
    assert "hunter2-is-long" not in invocation
    assert result["secrets"]["b"] not in invocation


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"name": "No Name"}, id="bad name"),
        pytest.param({"name": "b", "value": ""}, id="empty value"),
        pytest.param({"name": "b", "gid": "wheel"}, id="bad type"),
        pytest.param({"name": "b", "unknown": 1}, id="unknown option"),
    ],
)
def test_an_error_shows_no_value(
    other: dict[str, Any], run_module: RunModule, directory: Path
) -> None:
    secret = 'two "lines"\nof secret'
    result = run_module(
        secret_files.main, options(directory, {"name": "a", "value": secret}, other)
    )
    assert result["failed"] is True
    assert "of secret" not in json.dumps(result)
    assert not directory.exists()


def test_the_hosts_journal_gets_no_value(
    run_module: RunModule, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[str] = []
    monkeypatch.setattr(
        secret_files.SecretModule, "log", lambda _, message, **__: logged.append(message)
    )
    secret = 'two "lines"\nof secret'
    run_module(secret_files.main, options(directory, {"name": "a", "value": secret}))
    assert "of secret" not in "".join(logged)


# --- Check mode -------------------------------------------------------------------------------


def test_check_mode_on_a_blank_host_invents_and_writes_nothing(
    run_module: RunModule, directory: Path
) -> None:
    result = run_module(
        secret_files.main,
        options(directory, {"name": "a"}, {"name": "b", "value": "given", "gid": 10001}),
        check=True,
    )
    assert result["changed"] is True
    assert len(result["secrets"]["a"]) == 32
    assert result["secrets"]["b"] == "given"
    assert result["versions"] == {"a": "0", "b": "0"}
    assert result["created"] == ["a", "b"]
    assert not directory.parent.exists()


def test_check_mode_on_a_converged_host_returns_what_is_there(
    run_module: RunModule, directory: Path
) -> None:
    wanted = options(directory, {"name": "a"})
    real = run_module(secret_files.main, wanted)
    checked = run_module(secret_files.main, wanted, check=True)
    assert checked["changed"] is False
    assert checked["secrets"] == real["secrets"]
    assert checked["versions"] == real["versions"]


def test_check_mode_tells_of_a_new_value_and_of_a_wrong_mode(
    run_module: RunModule, directory: Path
) -> None:
    path = put(directory, "a", "old")
    result = run_module(
        secret_files.main, options(directory, {"name": "a", "value": "new"}), check=True
    )
    assert result["changed"] is True
    assert path.read_text() == "old"
    path.chmod(0o644)
    directory.chmod(0o755)
    assert run_module(secret_files.main, options(directory, {"name": "a"}), check=True)["changed"]
    assert mode(path) == 0o644
    assert mode(directory) == 0o755


# --- What goes wrong --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "Upper", "-dash", "../up", "a/b", "white space", "a\n"])
def test_a_name_that_cannot_be_one(name: str, run_module: RunModule, directory: Path) -> None:
    result = run_module(secret_files.main, options(directory, {"name": name}))
    assert "cannot be the name of a secret" in result["msg"]
    assert not directory.exists()


def test_a_name_twice(run_module: RunModule, directory: Path) -> None:
    result = run_module(secret_files.main, options(directory, {"name": "a"}, {"name": "a"}))
    assert "'a' is listed twice" in result["msg"]


def test_a_secret_that_is_too_short(run_module: RunModule, directory: Path) -> None:
    result = run_module(secret_files.main, options(directory, {"name": "a", "length": 4}))
    assert "use 12 or more" in result["msg"]


@pytest.mark.parametrize(
    ("content", "words"), [(b" \n", "white space only"), (b"\xff\xfe", "not UTF-8 text")]
)
def test_a_file_that_holds_no_secret(
    content: bytes, words: str, run_module: RunModule, directory: Path
) -> None:
    path = put(directory, "a", content)
    result = run_module(secret_files.main, options(directory, {"name": "a"}))
    assert words in result["msg"]
    assert str(path) in result["msg"]
    assert path.read_bytes() == content


def test_a_link_in_the_place_of_the_file(
    run_module: RunModule, directory: Path, tmp_path: Path
) -> None:
    elsewhere = put(tmp_path / "elsewhere", "a", "secret")
    directory.mkdir(parents=True)
    (directory / "a").symlink_to(elsewhere)
    result = run_module(secret_files.main, options(directory, {"name": "a", "value": "new"}))
    assert "not a regular file" in result["msg"]
    assert elsewhere.read_text() == "secret"


@pytest.mark.parametrize("check", [True, False])
def test_a_file_in_the_place_of_the_directory(
    check: bool, run_module: RunModule, directory: Path
) -> None:
    directory.parent.mkdir()
    directory.write_text("in the way")
    result = run_module(secret_files.main, options(directory, {"name": "a"}), check=check)
    assert result["failed"] is True
    assert f"{directory} is not a directory" in result["msg"]


def test_a_directory_that_cannot_be_made(run_module: RunModule, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    directory = tmp_path / "file" / "secrets"
    result = run_module(secret_files.main, options(directory, {"name": "a"}))
    assert result["failed"] is True
    assert str(tmp_path / "file") in result["msg"]
    assert "become: true" in result["msg"]


# --- Killed, and two at once ------------------------------------------------------------------


@pytest.mark.parametrize(
    "kill",
    [
        pytest.param(("chmod", 3), id="with an empty temporary file"),
        pytest.param(("fsync", 1), id="with a written temporary file"),
        pytest.param(("replace", 1), id="before the first secret is there"),
        pytest.param(("replace", 2), id="between the first and the second"),
    ],
)
def test_a_run_killed_in_the_middle_leaves_no_half_secret(
    kill: tuple[str, int],
    run_module: RunModule,
    run_killed: RunKilled,
    directory: Path,
) -> None:
    wanted = options(directory, {"name": "a"}, {"name": "b"})
    run_killed("secret_files", wanted, *kill)
    left = {path.name: path.read_text() for path in directory.iterdir() if path.name in "ab"}
    assert all(len(value) == 32 for value in left.values())
    assert len(names(directory)) > len(left), "it was killed too late to show anything"

    result = run_module(secret_files.main, wanted)
    assert {**result["secrets"], **left} == result["secrets"]
    assert names(directory) == {"a", "b"}


def test_a_killed_change_keeps_the_old_secret(run_killed: RunKilled, directory: Path) -> None:
    put(directory, "a", "the old one")
    run_killed("secret_files", options(directory, {"name": "a", "value": "new"}), "replace")
    assert (directory / "a").read_text() == "the old one"


def test_runs_at_the_same_time_agree(directory: Path) -> None:
    code = (
        "import json, sys\n"
        "from pathlib import Path\n"
        "from ansible_collections.labstack.stack.plugins.modules import secret_files\n"
        "directory = Path(sys.argv[1])\n"
        "wanted = [secret_files.Wanted(f's{number}') for number in range(10)]\n"
        "print(json.dumps(secret_files.converge(directory, wanted, check=False).secrets))\n"
    )
    directory.mkdir(parents=True)
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(directory)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT / "collections")},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    answers = [json.loads(run.communicate(timeout=60)[0]) for run in runs]
    assert all(answer == answers[0] for answer in answers)
