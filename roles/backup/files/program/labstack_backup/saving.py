"""Making a backup: what goes in, the read-back, the targets, what is kept."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from labstack_backup import archive, stores
from labstack_backup.common import Application, FailureError, Settings, free_mb, now, run, write
from labstack_backup.mysql import Server
from labstack_backup.restic import Repository
from labstack_backup.status import Status
from labstack_backup.stores import Store

DAY = 86400.0


def save(settings: Settings, who: str, reason: str) -> dict[str, Any]:
    """Makes a backup, reads it back, and sends it to the targets; returns its note.

    Raises:
        FailureError: there is none, or a target did not take it; what was there before stays.
    """
    status, began = Status(settings), time.monotonic()
    try:
        store = stores.ensure(settings)
        store.repository.unlock()
        _forget_cut_short(store)
        note = _save(settings, store, who, reason)
    except BaseException:
        status.set(success=0, last_success_timestamp_seconds={}, target_up={"local": 0})
        raise
    note["seconds"] = round(time.monotonic() - began, 1)
    note["memory"] = peak_memory()
    store.add_note(note)
    status.set(
        success=1,
        last_success_timestamp_seconds={"local": time.time()},
        target_up={"local": 1},
        size_bytes=note["size"],
        rows=note["rows"],
        duration_seconds=note["seconds"],
    )
    missed = _send(settings, store, status)
    _retain(settings, store, status)
    if missed:
        raise FailureError(
            f"the backup {note['id']} is on this host; it did not reach {', '.join(missed)}:\n"
            + "\n".join(missed.values())
        )
    return note


def peak_memory() -> int:
    """Returns the most memory in bytes that this process and the largest of its children had."""
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(resource.getrusage(one).ru_maxrss for one in who) * 1024


def _forget_cut_short(store: Store) -> None:
    """Removes snapshots that have no note: their making was killed before they were read back."""
    cut = [one.id for one in store.repository.snapshots() if not store.note(one.backup).exists()]
    if cut:
        store.repository.forget(*cut)


def _unused_id(store: Store) -> str:
    """Returns the time as an id; two of one second are apart."""
    while True:
        found = now().strftime("%Y%m%d-%H%M%S")
        if not store.note(found).exists():
            return found
        # The next second is the next id.
        time.sleep(0.2)


def _save(settings: Settings, store: Store, who: str, reason: str) -> dict[str, Any]:
    free = free_mb(store.directory)
    if free < settings.disk_min_mb:
        raise FailureError(
            f"{free} MB are free on the disk of {store.directory}; "
            f"a backup leaves {settings.disk_min_mb} MB alone "
            "(backup_disk_min_mb)",
            "see what fills it: sudo du -xh --max-depth=2 / | sort -h | tail",
        )
    backup = _unused_id(store)
    applications = settings.all_applications()
    head = {
        "id": backup,
        "time": now().isoformat(),
        "host": settings.host,
        "address": settings.address,
        "by": who,
        "reason": reason,
        "applications": {one.name: _described(one) for one in applications},
        "versions": {
            "labstack_backup": archive.FORMAT,
            "restic": run(["restic", "version"]).split()[1],
        },
    }

    def fill(stream: Any) -> None:
        writer = archive.Writer(stream, head)
        try:
            _fill(settings, applications, writer)
        except BaseException:
            writer.abandon()
            raise

    store.repository.save(backup, settings.host, fill)
    # Read back: what restic gives is what was there, to the last byte.
    (snapshot,) = [one.id for one in store.repository.snapshots() if one.backup == backup]
    with store.repository.read(snapshot) as stream:
        manifest = archive.check(stream)
    return {**manifest, "checked": now().isoformat()}


def _described(one: Application) -> dict[str, Any]:
    release = one.release.resolve()
    revisions = {}
    for database in one.databases:
        server = Server(database)
        table = server.ask(
            "SELECT COUNT(*) FROM information_schema.tables WHERE table_name = 'alembic_version' "
            f"AND table_schema = '{database.name}'"
        )
        if table == [["1"]]:
            revisions[database.name] = [
                row[0]
                for row in server.ask(f"SELECT version_num FROM `{database.name}`.alembic_version")
            ]
    return {"release": release.name, "revisions": revisions}


def _fill(settings: Settings, applications: list[Application], writer: archive.Writer) -> None:
    for path in sorted(settings.secrets_directory.iterdir()):
        if path.is_file() and not path.name.startswith("."):
            about = path.stat()
            writer.file(
                f"secrets/{path.name}",
                path.read_bytes(),
                about.st_mode & 0o777,
                (about.st_uid, about.st_gid),
            )
    if settings.grafana_database.exists():
        with grafana_copy(settings) as copy:
            writer.tree("grafana/grafana.db", copy)
    for name in settings.paths:
        if os.path.lexists(name):
            writer.tree(f"files{name}", Path(name))
    for one in applications:
        writer.skipped += [
            f"{service} of {one.name} has no MYSQL_DATABASE: none of its databases is dumped"
            for service in one.unnamed
        ]
        for volume in one.volumes:
            writer.tree(f"volumes/{volume}", settings.volumes_directory / volume / "_data")
        for database in one.databases:
            server = Server(database)
            with server.dump(database.name) as stream:
                writer.dump(f"mysql/{one.name}/{database.name}/tables", stream)
            with server.dump_beside(database.name) as stream:
                writer.dump(f"mysql/{one.name}/{database.name}/beside", stream)
            with server.dump_views(database.name) as views:
                if views:
                    writer.dump(f"mysql/{one.name}/{database.name}/views", views)
    writer.close()


@contextlib.contextmanager
def grafana_copy(settings: Settings) -> Iterator[Path]:
    """Yields a copy of Grafana's database as of one moment; Grafana goes on meanwhile."""
    with tempfile.TemporaryDirectory(dir=settings.directory, prefix=".grafana-") as directory:
        copy = Path(directory) / "grafana.db"
        try:
            source = sqlite3.connect(
                f"file:{settings.grafana_database}?mode=ro", uri=True, timeout=30
            )
            target = sqlite3.connect(copy)
            with contextlib.closing(source), contextlib.closing(target):
                source.backup(target)
        except sqlite3.Error as error:
            raise FailureError(
                f"Grafana's database {settings.grafana_database} cannot be copied: {error}",
                "sudo systemctl status grafana-server",
            ) from error
        yield copy


def target(settings: Settings, name: str) -> Repository:
    """Returns a target's repository; it has the key of the store in use. Raises FailureError."""
    if name not in settings.targets:
        known = ", ".join(settings.targets) or "none"
        raise FailureError(
            f"backup_targets has no {name!r}; it has: {known}",
            "backup_targets: {s3: {repository: 's3:https://s3.us-east-1.amazonaws.com/BUCKET'}}",
        )
    row = settings.targets[name]
    store = stores.current(settings)
    key_file = store.directory / "key" if store else settings.key_file
    return Repository(
        row["repository"], key_file, {k: str(v) for k, v in (row.get("environment") or {}).items()}
    )


def _send(settings: Settings, store: Store, status: Status) -> dict[str, str]:
    """Copies what targets do not have yet to them; returns what was wrong with which."""
    missed: dict[str, str] = {}
    for name in settings.targets:
        try:
            other = target(settings, name)
            if not other.exists():
                other.make(store.repository)
            there = {one.backup for one in other.snapshots()}
            wanted = [one.id for one in store.repository.snapshots() if one.backup not in there]
            if wanted:
                other.copy_from(store.repository, *wanted)
        except FailureError as error:
            missed[name] = str(error)
            status.set(
                target_up={name: 0},
                last_success_timestamp_seconds={}
                if name in status.values.get("last_success_timestamp_seconds", {})
                else {name: 0},
            )
        else:
            status.set(target_up={name: 1}, last_success_timestamp_seconds={name: time.time()})
    return missed


def _retain(settings: Settings, store: Store, status: Status) -> None:
    # Packing anew reads and writes much: once a day is enough.
    due = time.time() - status.values.get("pruned", 0) > DAY
    store.repository.retain(settings.keep, prune=due)
    kept = {one.backup for one in store.repository.snapshots()}
    for note in store.notes():
        if note["id"] not in kept:
            store.note(note["id"]).unlink()
    if due:
        status.set(pruned=time.time())
    size = sum(
        path.stat().st_size for path in (store.directory / "restic").rglob("*") if path.is_file()
    )
    status.set(repository_bytes=size)


def fetch(settings: Settings, name: str, key: bytes | None, backup: str | None) -> Store:
    """Brings the backups of a target to this host as a store, which is used from then on."""
    temporary = settings.directory / ".target.key"
    write(temporary, (key or stores.secret(settings)).strip() + b"\n")
    try:
        row = settings.targets.get(name) or {}
        target(settings, name)
        other = Repository(
            row["repository"],
            temporary,
            {k: str(v) for k, v in (row.get("environment") or {}).items()},
        )
        if not other.exists():
            raise FailureError(
                f"the target {name} holds no backups", f"look there: {row['repository']}"
            )
        wanted = [one for one in other.snapshots() if backup in (None, one.backup)][-1:]
        if not wanted:
            raise FailureError(
                f"the target {name} has no backup {backup or ''}", "restic snapshots"
            )
        before = stores.current(settings)
        store = stores.make(settings, temporary.read_bytes().strip(), other)
        if before:
            # In use when its data is, not before.
            stores.use(settings, before)
        store.repository.copy_from(other, wanted[0].id)
        for one in store.repository.snapshots():
            with store.repository.read(one.id) as stream:
                store.add_note({**archive.check(stream), "checked": now().isoformat()})
        return store
    finally:
        temporary.unlink()


def remove_leftovers(settings: Settings) -> None:
    """Removes copies that killed runs have left."""
    for path in settings.directory.glob(".grafana-*"):
        shutil.rmtree(path)
