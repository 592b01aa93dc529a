"""What every part needs: settings, failures with a remedy, other programs, files, the lock."""

from __future__ import annotations

import contextlib
import ctypes
import datetime
import fcntl
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SETTINGS = Path("/etc/labstack/backup.json")
MB = 1_000_000
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_LIBC = ctypes.CDLL(None, use_errno=True)


class FailureError(Exception):
    """Something is wrong; the text says what, and after "->" what to type next."""

    def __init__(self, what: str, do: str = "") -> None:
        """Joins what is wrong and what to do about it."""
        super().__init__(f"{what}\n-> {do}" if do else what)


@dataclass(frozen=True)
class Database:
    """A MySQL database of an application.

    Attributes:
        project: Compose project.
        service: the service whose container runs the server.
        name: the schema.
        root_password_file: file with the password of root@localhost.
    """

    project: str
    service: str
    name: str
    root_password_file: Path


@dataclass(frozen=True)
class Application:
    """A Compose project with data.

    Attributes:
        name: as people call it.
        project: Compose project.
        release: directory of the release that serves.
        databases: its databases.
        volumes: its named volumes that are data.
        front: services that hold no data and go on while data is restored.
        migrations: services that bring the tables to the release, run once.
        revisions: directory with the Alembic revisions that the release knows, below `release`.
        unnamed: services of MySQL that do not say which database is theirs.
    """

    name: str
    project: str
    release: Path
    databases: tuple[Database, ...]
    volumes: tuple[str, ...]
    front: tuple[str, ...]
    migrations: tuple[str, ...]
    revisions: str
    unnamed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Settings:
    """The role's settings, from its file; the fields are its variables without the prefix."""

    host: str
    address: str
    directory: Path
    key_file: Path
    secrets_directory: Path
    applications_file: Path
    applications: dict[str, Any]
    grafana_database: Path
    paths: list[str]
    volumes_directory: Path
    keep: dict[str, int]
    period_hours: float
    drill_days: float
    disk_min_mb: int
    metrics_file: Path
    targets: dict[str, dict[str, Any]]

    @classmethod
    def load(cls, path: Path = SETTINGS) -> Settings:
        """Reads the file. Raises FailureError where the role has not written it."""
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise FailureError(f"{path} is missing: no backups here", "./lab up") from error
        paths = {name for name, kind in cls.__annotations__.items() if kind == "Path"}
        given: dict[str, Any] = {k: Path(v) if k in paths else v for k, v in values.items()}
        return cls(**given)

    def all_applications(self) -> list[Application]:
        """Returns the applications that are here: those of applications.json, else the role's."""
        rows = self.applications
        if self.applications_file.exists():
            told = json.loads(self.applications_file.read_text(encoding="utf-8"))
            rows = {name: {**rows.get(name, {}), **row} for name, row in told.items()}
        # A host that only watches has no release.
        return [
            _application(name, row)
            for name, row in sorted(rows.items())
            if Path(row["release"]).exists()
        ]


def _application(name: str, row: dict[str, Any]) -> Application:
    data = row.get("data") or {}
    project = row["project"]
    return Application(
        name=name,
        project=project,
        release=Path(row["release"]),
        databases=tuple(
            Database(project, one["service"], one["database"], Path(one["root_password_file"]))
            for one in data.get("mysql") or []
            if one["database"]
        ),
        volumes=tuple(data.get("volumes") or []),
        front=tuple(row.get("front") or []),
        migrations=tuple(row.get("migrations") or []),
        revisions=row.get("revisions", ""),
        unnamed=tuple(one["service"] for one in data.get("mysql") or [] if not one["database"]),
    )


def now() -> datetime.datetime:
    """Returns the time, in UTC, to the second."""
    return datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)


def _dies_with_us() -> None:
    """Lets the kernel end the child when this process is killed (runs in the child)."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def start(
    command: Sequence[str],
    environment: Mapping[str, str] | None = None,
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.PIPE,
) -> subprocess.Popen[bytes]:
    """Starts a program that ends when this one does. Raises FailureError where it is missing."""
    # A file, since a pipe that nobody reads would stop a program that says much.
    errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
    try:
        process = subprocess.Popen(
            command,
            stdin=stdin,
            stdout=stdout,
            stderr=errors,
            env={**os.environ, **(environment or {})},
            preexec_fn=_dies_with_us,  # noqa: PLW1509 - one call, no thread is running
        )
    except FileNotFoundError as error:
        raise FailureError(f"{command[0]} is missing on this host", "./lab up") from error
    process.errors = errors  # type: ignore[attr-defined]
    return process


def end(process: subprocess.Popen[bytes]) -> None:
    """Kills a program, and forgets what it has not read yet."""
    process.kill()
    process.wait()
    if process.stdin:
        with contextlib.suppress(OSError):
            process.stdin.close()


def said(process: subprocess.Popen[bytes]) -> str:
    """Returns what a program wrote on standard error, its last 2000 characters."""
    errors = process.errors.fileno()  # type: ignore[attr-defined]
    text = os.pread(errors, 2000, max(0, os.fstat(errors).st_size - 2000))
    return text.decode(errors="replace").strip()


def run(
    command: Sequence[str], environment: Mapping[str, str] | None = None, text: bytes = b""
) -> str:
    """Runs a program; returns its standard output. Raises FailureError with its own words."""
    process = start(command, environment, stdin=subprocess.PIPE)
    output, _ = process.communicate(text)
    if process.returncode != 0:
        raise FailureError(f"{' '.join(command[:2])} failed: {said(process)}")
    return output.decode(errors="replace")


def write(path: Path, content: bytes, mode: int = 0o600, owner: tuple[int, int] = (0, 0)) -> None:
    """Replaces a file by rename, on the disk before it has its name."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        if os.geteuid() == 0:
            os.fchown(stream.fileno(), *owner)
        os.fchmod(stream.fileno(), mode)
        stream.flush()
        os.fsync(stream.fileno())
    new.replace(path)
    sync(path.parent)


def sync(directory: Path) -> None:
    """Brings a directory's names to the disk."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Keeps others out: one backup, drill, restore or transfer at a time. Waits for them."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def free_mb(path: Path) -> int:
    """Returns the free space of a directory's file system in MB."""
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize // MB
