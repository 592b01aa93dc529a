"""Restoring: everything is checked, loaded beside what is there, and takes its place at once."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from labstack_backup import archive, stores
from labstack_backup.common import (
    MB,
    Application,
    FailureError,
    Settings,
    free_mb,
    now,
    run,
    sync,
    write,
)
from labstack_backup.mysql import Server
from labstack_backup.stores import Store

HEALTHY_TIMEOUT = 180.0  # seconds; MySQL's and the application's start are in it
_PARTS = ("app", "grafana", "secrets")


class Scratch:
    """The databases of a backup in schemas of their own, beside the real ones."""

    def __init__(self, applications: dict[str, Application], suffix: str) -> None:
        """Names them: "webapp" becomes "webapp_drill"."""
        self._suffix = suffix
        self.servers = {
            f"mysql/{one.name}/{database.name}": Server(database)
            for one in applications.values()
            for database in one.databases
        }

    def schema(self, name: str) -> str:
        """Returns the scratch schema of a database of the archive."""
        return self.servers[name].database.name + self._suffix

    def load(self, stream: IO[bytes]) -> None:
        """Loads all tables of an archive. Raises FailureError."""
        for server in self.servers.values():
            server.empty(server.database.name + self._suffix)
        parts = _Parts(archive.entries(stream))
        for name in parts:
            database, _, kind = name.rpartition("/")
            if kind == "tables" and database in self.servers:
                self.servers[database].load(self.schema(database), parts.content())

    def compare(self, note: dict[str, Any]) -> None:
        """Compares each table with the manifest. Raises FailureError with those that differ."""
        for name, server in self.servers.items():
            wanted = note["databases"].get(f"{name}/tables")
            if wanted is None:
                continue
            wrong = archive.compare(server.tables(self.schema(name)), wanted)
            if wrong:
                raise FailureError(
                    f"the backup {note['id']} does not restore to what it says: "
                    f"{', '.join(wrong)} of {name}",
                    "keep it, and take another: ./lab backups",
                )

    def drop(self) -> None:
        """Drops the scratch schemas."""
        for server in self.servers.values():
            server.drop(server.database.name + self._suffix)


class _Parts:
    """The dumps of an archive, whose parts follow each other: iterates over their names."""

    def __init__(self, found: Iterator[tuple[Any, archive.Content | None]]) -> None:
        self._found = found
        self._next: tuple[str, archive.Content] | None = None
        self._step()

    def _step(self) -> None:
        self._next = None
        for info, content in self._found:
            if content is not None and info.name.startswith("mysql/"):
                self._next = info.name.rpartition("/")[0], content
                return

    def __iter__(self) -> Iterator[str]:
        while self._next:
            name = self._next[0]
            yield name
            while self._next and self._next[0] == name:
                self._step()

    def content(self) -> Iterator[bytes]:
        """Yields the text of the dump at which the iteration is."""
        assert self._next
        name = self._next[0]
        while self._next and self._next[0] == name:
            yield self._next[1].read()
            self._step()


def prepare(
    settings: Settings, store: Store, backup: str | None, only: list[str]
) -> dict[str, Any]:
    """Reads and checks a whole backup, then restores the secrets where they are wanted.

    The store is used from now on, for its key is among the secrets.
    """
    snapshot, note = store.find(backup)
    needed = 3 * note["size"] // MB + settings.disk_min_mb
    if free_mb(settings.directory) < needed:
        raise FailureError(
            f"restoring {note['id']} needs {needed} MB of free disk; there are "
            f"{free_mb(settings.directory)} MB",
            "see what fills it: sudo du -xh --max-depth=2 / | sort -h | tail",
        )
    secrets: dict[str, bytes] = {}
    with store.repository.read(snapshot) as stream:
        archive.check(
            stream, lambda name, data: secrets.__setitem__(name, secrets.get(name, b"") + data)
        )
    if "secrets" in only:
        _restore_secrets(settings, store, snapshot, secrets)
        stores.use(settings, store)
    return note


def _restore_secrets(
    settings: Settings, store: Store, snapshot: str, secrets: dict[str, bytes]
) -> None:
    """Replaces each secret by rename, after all of them were copied beside."""
    directory = settings.secrets_directory
    before = directory.with_name(f"{directory.name}.before-restore")
    if directory.is_dir() and not before.exists():
        new = before.with_name(f".{before.name}.new")
        shutil.rmtree(new, ignore_errors=True)
        shutil.copytree(directory, new)
        new.chmod(0o700)
        new.rename(before)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with store.repository.read(snapshot) as stream:
        about = {
            info.name: info
            for info, _ in archive.entries(stream)
            if info.name.startswith("secrets/")
        }
    key = (store.directory / "key").read_bytes()
    for name, content in secrets.items():
        info = about[name]
        file = directory / name.removeprefix("secrets/")
        # The key of these backups may have been another when this one was made.
        wanted = key if file == settings.key_file else content
        write(file, wanted, info.mode & 0o777, (info.uid, info.gid))
    sync(directory)
    shutil.rmtree(before, ignore_errors=True)


def restore(
    settings: Settings, store: Store, backup: str | None, only: list[str]
) -> dict[str, Any]:
    """Restores data; what was there goes when the new has proven itself.

    Raises:
        FailureError: what was there is there again.
    """
    snapshot, note = store.find(backup)
    if "app" in only:
        _restore_applications(settings, store, snapshot, note)
    if "grafana" in only and "grafana/grafana.db" in note["entries"]:
        _restore_grafana(settings, store, snapshot)
    return note


def _restore_applications(
    settings: Settings, store: Store, snapshot: str, note: dict[str, Any]
) -> None:
    applications = {one.name: one for one in settings.all_applications()}
    unknown = sorted(set(note["applications"]) - set(applications))
    if unknown:
        raise FailureError(
            f"the backup has data of {', '.join(unknown)}, which this host does not have",
            "the same restore again with webapp_apps as it was: -e @apps.yml, or in "
            "group_vars/all/stack.yml (with --only, an up with it comes first)",
        )
    for name, row in note["applications"].items():
        _refuse_newer(applications[name], row)
    scratch = Scratch({name: applications[name] for name in note["applications"]}, "_restore")
    # A database that the backup does not hold stays as it is.
    scratch.servers = {
        name: server
        for name, server in scratch.servers.items()
        if f"{name}/tables" in note["databases"]
    }
    with store.repository.read(snapshot) as stream:
        scratch.load(stream)
    scratch.compare(note)
    volumes = {volume for one in applications.values() for volume in one.volumes}
    _unpack_volumes(settings, store, snapshot, volumes)
    moment = now().strftime("%Y%m%d%H%M%S")
    stopped = [pair for name in note["applications"] for pair in _writers(applications[name])]
    swapped: list[tuple[Server, str]] = []
    try:
        _stop(stopped)
        for name, server in scratch.servers.items():
            leaving = f"{server.database.name}_before_{moment}"
            server.empty(leaving)
            server.swap(scratch.schema(name), leaving)
            swapped.append((server, leaving))
        _swap_volumes(settings, volumes)
        with store.repository.read(snapshot) as stream:
            _load_beside(scratch, stream)
        for name in note["applications"]:
            _migrate(applications[name])
        _start(stopped)
        _wait_healthy(stopped)
    except BaseException:
        try:
            for server, leaving in swapped:
                server.swap(leaving, f"{server.database.name}_restore")
            _swap_volumes(settings, volumes, back=True)
        finally:
            # Whatever did not come back, nobody is left without an answer.
            _start(stopped)
        raise
    for server in scratch.servers.values():
        server.drop(*server.schemas(f"{server.database.name}_before_"))
    scratch.drop()
    for volume in volumes:
        shutil.rmtree(settings.volumes_directory / volume / "_data.before", ignore_errors=True)


def _refuse_newer(one: Application, row: dict[str, Any]) -> None:
    """Refuses tables that the release does not know."""
    directory = one.release / one.revisions
    if not one.revisions or not directory.is_dir():
        return
    known = {
        found[1]
        for path in directory.glob("*.py")
        if (
            found := re.search(
                r"^revision\b[^=]*=\s*['\"]([^'\"]+)",
                path.read_text(encoding="utf-8"),
                re.MULTILINE,
            )
        )
    }
    newer = [
        revision
        for revisions in row["revisions"].values()
        for revision in revisions
        if revision not in known
    ]
    if newer:
        raise FailureError(
            f"the backup's tables of {one.name} are of a newer release ({row['release']}, "
            f"revision {', '.join(newer)}) than "
            f"the one that serves here ({one.release.resolve().name})",
            "bring that release first: ./lab up, then ./lab restore",
        )


def _writers(one: Application) -> list[tuple[str, str]]:
    """Returns (service, container) of those that may write."""
    holding = {database.service for database in one.databases} | set(one.front)
    rows = run(
        [
            "docker",
            "ps",
            "--all",
            "--filter",
            f"label=com.docker.compose.project={one.project}",
            "--filter",
            "label=com.docker.compose.oneoff=False",
            "--format",
            '{{.Label "com.docker.compose.service"}} {{.ID}} {{.State}}',
        ]
    ).splitlines()
    # One that a killed restore has stopped counts, too; a migration, which ends by itself, not.
    return [
        (service, container)
        for service, container, state in map(str.split, rows)
        if service not in holding
        and service not in one.migrations
        and state in ("running", "exited", "paused")
    ]


def _stop(writers: list[tuple[str, str]]) -> None:
    if writers:
        run(["docker", "stop", *(container for _, container in writers)])


def _start(stopped: list[tuple[str, str]]) -> None:
    if stopped:
        run(["docker", "start", *(container for _, container in stopped)])


def _wait_healthy(started: list[tuple[str, str]]) -> None:
    deadline = time.monotonic() + HEALTHY_TIMEOUT
    for service, container in started:
        while True:
            state = run(
                [
                    "docker",
                    "inspect",
                    "--format",
                    "{{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{end}}",
                    container,
                ]
            ).split()
            if state in (["running"], ["running", "healthy"]):
                break
            if time.monotonic() > deadline:
                raise FailureError(
                    f"{service} is not healthy on the restored data ({' '.join(state)}); "
                    "what was there before is back",
                    f"sudo docker logs --tail 50 {container}",
                )
            # The engine tells of health by its own clock.
            time.sleep(0.5)


def _migrate(one: Application) -> None:
    for service in one.migrations:
        run(
            [
                "docker",
                "compose",
                "--project-directory",
                str(one.release.resolve()),
                "--project-name",
                one.project,
                "run",
                "--rm",
                "--no-deps",
                "-T",
                service,
            ]
        )


def _load_beside(scratch: Scratch, stream: IO[bytes]) -> None:
    parts = _Parts(archive.entries(stream))
    for name in parts:
        database, _, kind = name.rpartition("/")
        if kind in ("beside", "views") and database in scratch.servers:
            server = scratch.servers[database]
            server.load(server.database.name, parts.content())


def _unpack_volumes(settings: Settings, store: Store, snapshot: str, volumes: set[str]) -> None:
    for volume in volumes:
        shutil.rmtree(settings.volumes_directory / volume / "_data.restore", ignore_errors=True)
    if not volumes:
        return
    with store.repository.read(snapshot) as stream:
        for info, content in archive.entries(stream):
            kind, _, rest = info.name.partition("/")
            volume, _, inside = rest.partition("/")
            if kind == "volumes" and volume in volumes and ".." not in inside.split("/"):
                _unpack(
                    settings.volumes_directory / volume / "_data.restore" / inside, info, content
                )


def _unpack(path: Path, info: Any, content: archive.Content | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if info.isdir():
        path.mkdir(exist_ok=True)
    elif info.issym():
        path.symlink_to(info.linkname)
    elif content is not None:
        with path.open("wb") as stream:
            shutil.copyfileobj(content, stream)
    else:
        return
    os.chown(path, info.uid, info.gid, follow_symlinks=False)
    if not info.issym():
        path.chmod(info.mode & 0o7777)
        os.utime(path, (info.mtime, info.mtime))


def _swap_volumes(settings: Settings, volumes: set[str], back: bool = False) -> None:
    for volume in volumes:
        data = settings.volumes_directory / volume / "_data"
        coming, leaving = data.with_name("_data.restore"), data.with_name("_data.before")
        if back:
            coming, leaving = leaving, coming
        if coming.exists():
            # Where a run was killed in between, what was there is in `leaving` already.
            if data.exists():
                shutil.rmtree(leaving, ignore_errors=True)
                data.rename(leaving)
            coming.rename(data)


def _restore_grafana(settings: Settings, store: Store, snapshot: str) -> None:
    database = settings.grafana_database
    if not database.parent.is_dir():
        raise FailureError(f"Grafana is not on this host: {database.parent} is missing", "./lab up")
    owner = database.parent.stat()
    new, before = (
        database.with_name(f"grafana.db.{kind}") for kind in ("restore", "before-restore")
    )
    with store.repository.read(snapshot) as stream:
        for info, content in archive.entries(stream):
            if info.name == "grafana/grafana.db" and content:
                with new.open("wb") as file:
                    shutil.copyfileobj(content, file)
                    os.fsync(file.fileno())
    os.chown(new, owner.st_uid, owner.st_gid)
    new.chmod(0o640)
    run(["systemctl", "stop", "grafana-server"])
    try:
        if database.exists() and not before.exists():
            os.link(database, before)
        for kind in ("-journal", "-wal", "-shm"):
            database.with_name(database.name + kind).unlink(missing_ok=True)
        new.replace(database)
        sync(database.parent)
        run(["systemctl", "start", "grafana-server"])
    except BaseException:
        if before.exists():
            before.replace(database)
        with contextlib.suppress(FailureError):
            run(["systemctl", "start", "grafana-server"])
        raise
    before.unlink(missing_ok=True)
