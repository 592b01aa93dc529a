"""MySQL's start script, with a mysqld that only remembers what it was told.

The real one is started by the tests of the application and of the role.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.role_readme import REPOSITORY

MYSQL = REPOSITORY / "app" / "mysql"
# Makes a data directory in two steps; WAIT names a pipe that it reads in between.
MYSQLD = """#!/bin/sh
case "$*" in
  *--initialize-insecure*)
    [ -z "$(ls "$MYSQL_DATA_DIRECTORY")" ] || { echo "not empty" >&2; exit 1; }
    mkdir "$MYSQL_DATA_DIRECTORY/half"
    [ -z "${WAIT:-}" ] || { read -r _ <"$WAIT"; }
    mkdir "$MYSQL_DATA_DIRECTORY/mysql" ;;
  *) echo "serving $*" ;;
esac
"""


@dataclass
class Place:
    """The directories of one container."""

    root: Path
    environment: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        for name in ("bin", "data", "run", "secrets"):
            (self.root / name).mkdir()
        (self.root / "bin" / "mysqld").write_text(MYSQLD)
        (self.root / "bin" / "mysqld").chmod(0o755)
        self.secret("webapp_db_password", "app")
        self.secret("webapp_db_migration_password", "migration")
        self.secret("webapp_db_root_password", "root")
        self.environment = {
            "PATH": f"{self.root / 'bin'}:{os.environ['PATH']}",
            "MYSQL_DATA_DIRECTORY": str(self.root / "data"),
            "MYSQL_RUN_DIRECTORY": str(self.root / "run"),
            "MYSQL_SECRETS_DIRECTORY": str(self.root / "secrets"),
        }

    def secret(self, name: str, value: str) -> None:
        (self.root / "secrets" / name).write_text(value)

    def begin(self, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [MYSQL / "mysql-start"],
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def start(self) -> tuple[int, str, str]:
        process = self.begin()
        out, errors = process.communicate(timeout=20)
        return process.returncode, out, errors

    @property
    def data(self) -> set[str]:
        return {entry.name for entry in (self.root / "data").iterdir()}

    def sql(self) -> str:
        return (self.root / "run" / "init.sql").read_text()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def half_made(place: Place) -> Iterator[subprocess.Popen[str]]:
    """A first start that is in the middle of making the data directory."""
    pipe = place.root / "pipe"
    os.mkfifo(pipe)
    process = place.begin(WAIT=str(pipe))
    # Opens when the fake mysqld reads, which it does half-way.
    with pipe.open("w"):
        yield process
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=20)


def test_the_first_start_makes_the_data_directory_and_serves(place: Place) -> None:
    code, out, _ = place.start()
    assert code == 0
    assert out.startswith("serving --datadir=")
    assert f"--init-file={place.root}/run/init.sql" in out
    assert place.data == {".initialised", "half", "mysql"}


def test_a_later_start_leaves_the_data_alone(place: Place) -> None:
    place.start()
    (place.root / "data" / "webapp").mkdir()
    code, out, errors = place.start()
    assert (code, errors) == (0, "")
    assert out.startswith("serving")
    assert "webapp" in place.data


def test_a_first_start_that_was_killed_is_begun_again(
    place: Place, half_made: subprocess.Popen[str]
) -> None:
    os.killpg(half_made.pid, signal.SIGKILL)
    half_made.wait(timeout=20)
    assert place.data == {".initialising", "half"}
    code, out, errors = place.start()
    assert code == 0
    assert "cut short" in errors
    assert out.startswith("serving")
    assert place.data == {".initialised", "half", "mysql"}


def test_the_first_start_obeys_a_stop(place: Place, half_made: subprocess.Popen[str]) -> None:
    half_made.terminate()
    assert half_made.wait(timeout=20) == 143
    assert ".initialised" not in place.data


def test_a_foreign_database_is_left_alone(place: Place) -> None:
    (place.root / "data" / "mysql").mkdir()
    code, out, errors = place.start()
    assert (code, out) == (1, "")
    assert "did not make" in errors
    assert ".initialised" in errors
    assert place.data == {"mysql"}


def test_an_adopted_database_is_served(place: Place) -> None:
    (place.root / "data" / "mysql").mkdir()
    (place.root / "data" / ".initialised").touch()
    code, out, _ = place.start()
    assert code == 0
    assert out.startswith("serving")


def test_the_directory_that_a_file_system_brings_is_no_database(place: Place) -> None:
    """But only there: MySQL itself would refuse it."""
    (place.root / "data" / "lost+found").mkdir()
    _, _, errors = place.start()
    assert "did not make" not in errors


def test_a_failing_mysqld_is_told(place: Place) -> None:
    (place.root / "bin" / "mysqld").write_text("#!/bin/sh\necho disk full >&2\nexit 1\n")
    code, _, errors = place.start()
    assert code == 1
    assert "disk full" in errors
    assert "could not make the data directory" in errors
    assert place.data == {".initialising"}


@pytest.mark.parametrize(
    "name", ["webapp_db_password", "webapp_db_migration_password", "webapp_db_root_password"]
)
@pytest.mark.parametrize(
    ("value", "words"), [(None, "missing"), ("", "empty"), ("\n", "empty"), ("a\nb", "one line")]
)
def test_an_unusable_secret_is_named(
    place: Place, name: str, value: str | None, words: str
) -> None:
    (place.root / "secrets" / name).unlink()
    if value is not None:
        place.secret(name, value)
    code, out, errors = place.start()
    assert (code, out) == (1, "")
    assert f"secret {name}" in errors
    assert words in errors


def test_passwords_are_quoted_and_readable_for_nobody_else(place: Place) -> None:
    place.secret("webapp_db_password", "it's \"a\\ pass;word & #\n")
    place.start()
    assert r"""'webapp'@'%' IDENTIFIED BY 'it\'s "a\\ pass;word & #';""" in place.sql()
    options = (place.root / "run" / "webapp.cnf").read_text()
    assert r'''password = "it's \"a\\ pass;word & #"''' in options
    for name in ("init.sql", "webapp.cnf"):
        assert (place.root / "run" / name).stat().st_mode & 0o077 == 0


def test_a_changed_secret_reaches_the_next_start(place: Place) -> None:
    place.start()
    place.secret("webapp_db_root_password", "changed")
    place.start()
    assert "ALTER USER 'root'@'localhost' IDENTIFIED BY 'changed';" in place.sql()


def test_no_password_is_in_the_arguments(place: Place) -> None:
    place.secret("webapp_db_password", "unmistakable")
    _, out, errors = place.start()
    assert "unmistakable" not in out + errors


def test_the_application_changes_rows_and_the_migration_tables(place: Place) -> None:
    place.start()
    granted = [line for line in place.sql().splitlines() if line.startswith("GRANT")]
    assert granted == [
        "GRANT SELECT, INSERT, UPDATE, DELETE ON webapp.* TO 'webapp'@'%';",
        "GRANT ALL PRIVILEGES ON webapp.* TO 'webapp_migration'@'%';",
    ]


def test_the_database_is_there_before_its_users(place: Place) -> None:
    place.start()
    assert place.sql().startswith("CREATE DATABASE IF NOT EXISTS webapp CHARACTER SET utf8mb4 ")


def test_each_statement_ends_on_its_own_line(place: Place) -> None:
    """As --init-file wants it."""
    place.start()
    assert all(line.endswith(";") for line in place.sql().splitlines())
