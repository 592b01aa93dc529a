"""A host's files in a directory, and the program on them with the real restic."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.role_readme import ROLES

PROGRAM = ROLES / "backup" / "files" / "program"


@pytest.fixture(scope="session", autouse=True)
def restic() -> None:
    """Has restic: as root on Debian it is installed."""
    if shutil.which("restic"):
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        pytest.fail("restic is missing: sudo apt-get install restic")
    install = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", "restic"]
    subprocess.run(install, check=True, capture_output=True)


@dataclass
class Place:
    """What is backed up, and where to; no database, whose tests need a host."""

    root: Path
    settings: dict[str, Any]

    @property
    def file(self) -> Path:
        """The settings' file."""
        return self.root / "backup.json"

    def write(self, **changes: Any) -> None:
        """Writes the settings, changed."""
        self.settings |= changes
        self.file.write_text(json.dumps(self.settings))

    def command(self, *arguments: str) -> list[str]:
        """The program's command line."""
        return [sys.executable, "-B", str(PROGRAM), "--settings", str(self.file), *arguments]

    def run(self, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """Runs the program to its end."""
        return subprocess.run(
            self.command(*arguments), input=text, capture_output=True, text=True, check=False
        )

    def does(self, *arguments: str, text: str = "") -> dict[str, Any]:
        """Runs the program, which succeeds; returns what it says."""
        done = self.run(*arguments, text=text)
        assert done.returncode == 0, done.stderr
        said: dict[str, Any] = json.loads(done.stdout)
        return said

    def refuses(self, *arguments: str, text: str = "") -> str:
        """Runs the program, which fails with a message; returns that."""
        done = self.run(*arguments, text=text)
        assert done.returncode == 1, (done.returncode, done.stdout, done.stderr)
        assert done.stderr.startswith("backup: "), done.stderr
        assert "\n-> " in done.stderr
        assert "Traceback" not in done.stderr
        return done.stderr

    def kill(self, *arguments: str, after: float) -> None:
        """Runs the program and kills it after so many seconds, as the kernel does."""
        process = subprocess.Popen(
            self.command(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(after)
        process.kill()
        process.wait()

    @property
    def backups(self) -> list[str]:
        """The ids of the backups on the host."""
        return [one["id"] for one in self.does("list")["backups"]]

    @property
    def store(self) -> Path:
        """The store in use."""
        return (self.root / "backup" / "current").resolve()

    def largest(self, kind: str = "data") -> Path:
        """A file of the repository."""
        files = [path for path in (self.store / "restic" / kind).rglob("*") if path.is_file()]
        return max(files, key=lambda path: path.stat().st_size)

    def secret(self, name: str) -> Path:
        """A secret's file."""
        return self.root / "secrets" / name

    def restores(self) -> None:
        """The newest backup is whole: it can be prepared, and brings a secret back."""
        self.secret("webapp_secret_key").write_text("changed")
        self.does("prepare", "--only", "secrets")
        assert self.secret("webapp_secret_key").read_text() == "first"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    for name in ("secrets", "grafana", "textfile"):
        (tmp_path / name).mkdir()
    (tmp_path / "secrets" / "backup_key").write_text("k" * 32)
    (tmp_path / "secrets" / "webapp_secret_key").write_text("first")
    database = sqlite3.connect(tmp_path / "grafana" / "grafana.db")
    with contextlib.closing(database):
        database.execute("CREATE TABLE user (name TEXT, noise BLOB)")
        database.executemany(
            "INSERT INTO user VALUES (?, ?)", [(f"user{n}", os.urandom(4000)) for n in range(500)]
        )
        database.commit()
    made = Place(tmp_path, {})
    made.write(
        host="ec2",
        address="203.0.113.7",
        directory=str(tmp_path / "backup"),
        key_file=str(tmp_path / "secrets" / "backup_key"),
        secrets_directory=str(tmp_path / "secrets"),
        applications_file=str(tmp_path / "applications.json"),
        applications={},
        grafana_database=str(tmp_path / "grafana" / "grafana.db"),
        paths=[],
        volumes_directory=str(tmp_path / "volumes"),
        keep={"hourly": 24, "daily": 14, "weekly": 8},
        period_hours=1,
        drill_days=7,
        disk_min_mb=1,
        metrics_file=str(tmp_path / "textfile" / "backup.prom"),
        targets={},
    )
    return made


@pytest.fixture
def saved(place: Place) -> Place:
    """A place with one backup."""
    place.does("save", "--by", "test")
    return place


def wait_for_the_next_second() -> None:
    """Lets a backup have another id."""
    now = int(time.time())
    while int(time.time()) == now:
        time.sleep(0.05)
