"""The program on a host's files: settings, stores, metrics, messages."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.unit.backup.program import common, mysql, restic, restoring, status, stores, verbs
from tests.unit.roles.rendering import evaluate, parse_unit, render


@pytest.fixture
def settings(tmp_path: Path) -> Any:
    """Return the role's settings, for a directory of the test."""
    values = json.loads(json.dumps(evaluate("backup", "__backup_settings")))
    values |= {
        "directory": str(tmp_path / "backup"),
        "key_file": str(tmp_path / "secrets" / "backup_key"),
        "secrets_directory": str(tmp_path / "secrets"),
        "applications_file": str(tmp_path / "applications.json"),
        "metrics_file": str(tmp_path / "backup.prom"),
    }
    (tmp_path / "backup").mkdir()
    (tmp_path / "backup.json").write_text(json.dumps(values))
    return common.Settings.load(tmp_path / "backup.json")


def release(settings: Any, name: str) -> str:
    """Return the directory of a release, which the application of the role then has."""
    directory = settings.directory / "releases" / name
    directory.mkdir(parents=True, exist_ok=True)
    if name in settings.applications:
        settings.applications[name]["release"] = str(directory)
    return str(directory)


def test_the_role_writes_what_the_program_reads(settings: Any) -> None:
    release(settings, "webapp")
    assert settings.keep == {"hourly": 24, "daily": 14, "weekly": 8}
    (one,) = settings.all_applications()
    assert (one.name, one.project, one.front, one.migrations) == (
        "webapp",
        "webapp",
        ("apache",),
        ("migrate",),
    )
    assert [database.name for database in one.databases] == ["webapp"]


def test_the_applications_of_the_host_are_backed_up_too(settings: Any) -> None:
    shop = {
        "project": "shop",
        "release": release(settings, "shop"),
        "data": {"volumes": ["shop_uploads"]},
    }
    settings.applications_file.write_text(
        json.dumps(
            {"shop": shop, "webapp": {"project": "webapp", "release": release(settings, "webapp")}}
        )
    )
    found = {one.name: one for one in settings.all_applications()}
    assert set(found) == {"shop", "webapp"}
    assert found["shop"].volumes == ("shop_uploads",)
    # What the file does not say comes from the role.
    assert found["webapp"].migrations == ("migrate",)


def test_an_application_that_is_not_here_has_no_backup(settings: Any) -> None:
    settings.applications["webapp"]["release"] = "/nowhere/webapp"
    assert settings.all_applications() == []


def test_without_the_roles_file_it_says_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(common.FailureError, match=r"-> ./lab up"):
        common.Settings.load(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("Fatal: wrong password or no key found", "key does not open"),
        ("write /var/lib/x: no space left on device", "disk is full"),
        ("ciphertext verification failed", "a bit has changed"),
        ("id 1234 not found in index", "a part of it is missing"),
        ("dial tcp 10.0.0.1:9000: connect: connection refused", "does not answer"),
        ("", "it was killed"),
    ],
)
def test_what_restic_says_is_explained(said: str, meant: str) -> None:
    text = str(restic.explain(said))
    assert meant in text
    assert "\n-> " in text


def test_a_failed_program_is_named_with_its_own_words() -> None:
    with pytest.raises(common.FailureError, match=r"sh -c failed: out of luck"):
        common.run(["sh", "-c", "echo out of luck >&2; exit 3"])
    with pytest.raises(common.FailureError, match=r"labstack-no-such is missing"):
        common.run(["labstack-no-such"])


def test_metrics_are_there_before_the_first_backup_and_name_each_target(settings: Any) -> None:
    now = status.Status(settings)
    now.set(
        target_up={"local": 1, "gone": 1}, last_success_timestamp_seconds={"local": 1.5, "gone": 3}
    )
    text = settings.metrics_file.read_text()
    assert 'backup_last_success_timestamp_seconds{target="local"} 1.5\n' in text
    assert "backup_drill_last_success_timestamp_seconds 0\n" in text
    assert "backup_period_seconds 3600\n" in text
    # A target that is no longer in backup_targets.
    assert "gone" not in text
    assert set(re.findall(r"^# TYPE (\w+) gauge$", text, re.MULTILINE)) == {
        line.split("{")[0].split(" ")[0] for line in text.splitlines() if not line.startswith("#")
    }


def test_a_store_that_was_copied_in_part_is_refused(settings: Any) -> None:
    (settings.directory / "stores" / "12345678").mkdir(parents=True)
    with pytest.raises(common.FailureError, match=r"not copied to its end"):
        stores.named(settings, "12345678", b"key")


def test_another_hosts_backups_ask_for_their_key(settings: Any) -> None:
    config = settings.directory / "stores" / "12345678" / "restic" / "config"
    config.parent.mkdir(parents=True)
    config.write_text("x")
    with pytest.raises(common.FailureError, match=r"LAB_BACKUP_KEY="):
        stores.named(settings, "12345678", None)


def test_a_newer_release_is_refused_before_anything_is_replaced(tmp_path: Path) -> None:
    release = tmp_path / "releases" / "abc"
    (release / "versions").mkdir(parents=True)
    (release / "versions" / "0001.py").write_text('revision: str = "0001"\n')
    one = common.Application("webapp", "webapp", release, (), (), (), (), "versions")
    restoring._refuse_newer(one, {"release": "abc", "revisions": {"webapp": ["0001"]}})
    with pytest.raises(common.FailureError, match=r"newer release .def, revision 0002"):
        restoring._refuse_newer(one, {"release": "def", "revisions": {"webapp": ["0002"]}})


def test_an_application_that_the_new_host_does_not_have_is_named_with_the_way_to_bring_it(
    settings: Any,
) -> None:
    release(settings, "webapp")
    note: dict[str, Any] = {"applications": {"webapp": {}, "shop": {}}}
    with pytest.raises(common.FailureError) as told:
        restoring._restore_applications(settings, None, "s", note)
    what, _, do = str(told.value).partition("\n-> ")
    assert "data of shop," in what
    assert do.startswith("the same restore again with webapp_apps as it was: -e @apps.yml")


def test_a_password_is_no_argument_of_a_process() -> None:
    assert "$password" in mysql._LOGIN
    assert "exec 3<<" in mysql._LOGIN


def test_names_are_quoted() -> None:
    assert mysql.name("a`b") == "`a``b`"
    assert mysql._text("it's \\") == "'it''s \\\\'"


def test_the_unit_runs_the_program_in_the_sandbox() -> None:
    unit = parse_unit(render("backup", "labstack-backup.service.j2"))
    service = dict(unit["Service"]) if isinstance(unit["Service"], list) else unit["Service"]
    assert "save --by timer --scheduled" in str(service)
    assert "NoNewPrivileges" in str(service)


def test_a_restore_takes_what_was_prepared_whatever_is_newest_by_then(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = evaluate(
        "backup",
        "__backup_restore",
        __backup_prepared={"stdout": '{"id": "20261130-204512", "store": "12345678"}'},
        backup_restore_only=["app"],
        backup_restore_target="s3",
    )
    asked: list[tuple[str, str | None, list[str]]] = []

    def restored(_: Any, store: Any, backup: str | None, only: list[str]) -> dict[str, Any]:
        asked.append((store.name, backup, only))
        return {"id": backup}

    monkeypatch.setattr(stores, "named", lambda s, name, _: stores.Store(s.directory / name))
    monkeypatch.setattr(restoring, "restore", restored)
    (settings.directory / "stores").mkdir()
    given = verbs._arguments(words[words.index("restore") :])
    assert verbs._act(settings, given) == {"id": "20261130-204512", "store": "12345678"}
    assert asked == [("12345678", "20261130-204512", ["app"])]


def test_a_mysql_without_a_database_does_not_stop_the_backup(settings: Any) -> None:
    row = {"service": "db", "database": "", "root_password_file": "/none"}
    shop = {"project": "shop", "release": release(settings, "shop"), "data": {"mysql": [row]}}
    settings.applications_file.write_text(json.dumps({"shop": shop}))
    (one,) = settings.all_applications()
    assert (one.databases, one.unnamed) == ((), ("db",))


@pytest.mark.parametrize("fault", ["stop", "swap back"])
def test_services_start_again_whatever_fails(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    webapp = common.Application("webapp", "webapp", tmp_path, (), (), (), (), "")
    done: list[str] = []

    class Stores:
        @contextlib.contextmanager
        def read(self, _: str) -> Iterator[None]:
            yield None

    def fails(what: str) -> Any:
        def act(*_: Any, **how: Any) -> None:
            if fault == what or how.get("back"):
                raise common.FailureError(what)

        return act

    class Scratch:
        servers: ClassVar[dict[str, Any]] = {}

        def __init__(self, *_: Any) -> None:
            pass

        def load(self, _: Any) -> None:
            pass

        def compare(self, _: Any) -> None:
            pass

    monkeypatch.setattr(common.Settings, "all_applications", lambda _: [webapp])
    monkeypatch.setattr(restoring, "Scratch", Scratch)
    monkeypatch.setattr(restoring, "_unpack_volumes", fails("unpack"))
    monkeypatch.setattr(restoring, "_writers", lambda _: [("flask", "c1")])
    monkeypatch.setattr(restoring, "_stop", fails("stop"))
    monkeypatch.setattr(restoring, "_swap_volumes", fails("swap back"))
    monkeypatch.setattr(restoring, "_start", lambda stopped: done.extend(one for _, one in stopped))
    note = {"applications": {"webapp": {"revisions": {}, "release": "x"}}, "databases": {}}
    store: Any = type("Store", (), {"repository": Stores()})()
    with pytest.raises(common.FailureError, match="swap back"):
        restoring._restore_applications(settings, store, "s", note)
    assert done == ["c1"]


def test_the_key_is_shown_until_a_whole_copy_is_there() -> None:
    assert evaluate("backup", "__backup_first", __backup_copied_before={"matched": 0}) is True
    assert evaluate("backup", "__backup_first", __backup_copied_before={"matched": 2}) is False


def test_a_volumes_swap_that_was_killed_in_between_loses_nothing(
    settings: Any, tmp_path: Path
) -> None:
    volume = tmp_path / "volumes" / "v"
    for name in ("before", "restore"):
        (volume / f"_data.{name}").mkdir(parents=True)
        (volume / f"_data.{name}" / "file").write_text(name)
    settings = dataclasses.replace(settings, volumes_directory=tmp_path / "volumes")
    restoring._swap_volumes(settings, {"v"})
    assert (volume / "_data" / "file").read_text() == "restore"
    assert (volume / "_data.before" / "file").read_text() == "before"
    restoring._swap_volumes(settings, {"v"}, back=True)
    assert (volume / "_data" / "file").read_text() == "before"
