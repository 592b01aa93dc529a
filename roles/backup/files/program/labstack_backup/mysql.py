"""A MySQL server in a container: dumped as a stream, loaded from one, tables moved at once."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterable, Iterator
from typing import IO, Any

from labstack_backup.archive import PART, Tables
from labstack_backup.common import Database, FailureError, end, run, said, start

# The password comes on standard input, in front of everything else, and goes on in a pipe: it is in
# no command line, no environment and no file.
_LOGIN = """IFS= read -r password
exec 3<<OPTIONS
[client]
user=root
password="$password"
OPTIONS
program=$1; shift
exec "$program" --defaults-extra-file=/dev/fd/3 "$@" """
_DUMP = (
    "--single-transaction",
    "--quick",
    "--order-by-primary",
    "--skip-dump-date",
    "--hex-blob",
    "--skip-lock-tables",
    "--set-gtid-purged=OFF",
    "--no-tablespaces",
)
# Nothing holds rows in these: they come after the tables, when those have their place.
_BESIDE = ("--no-create-info", "--no-data", "--triggers", "--routines", "--events")


def container(project: str, service: str) -> str:
    """Returns the id of the running container of a service. Raises FailureError without one."""
    found = run(
        ["docker", "ps", "--quiet", *_label("project", project), *_label("service", service)]
    ).split()
    if not found:
        raise FailureError(
            f"{service} of {project} does not run",
            f"./lab up    # or: sudo docker compose -p {project} ps --all",
        )
    return found[0]


def _label(name: str, value: str) -> tuple[str, str]:
    return "--filter", f"label=com.docker.compose.{name}={value}"


def name(identifier: str) -> str:
    """Returns a name as MySQL takes it."""
    return "`" + identifier.replace("`", "``") + "`"


class Server:
    """The server that holds a database."""

    def __init__(self, database: Database) -> None:
        """Finds its container and reads its password. Raises FailureError without them."""
        self.database = database
        self._container = container(database.project, database.service)
        try:
            password = database.root_password_file.read_text(encoding="utf-8").rstrip("\n")
        except OSError as error:
            raise FailureError(
                f"{database.root_password_file}: {error.strerror}", "./lab up"
            ) from error
        self._password = password.replace("\\", "\\\\").replace('"', '\\"').encode() + b"\n"

    def _command(self, *arguments: str) -> list[str]:
        return [
            "docker",
            "exec",
            "--interactive",
            self._container,
            "sh",
            "-c",
            _LOGIN,
            "sh",
            *arguments,
        ]

    def ask(self, statement: str) -> list[list[str]]:
        """Runs statements; returns the rows. Raises FailureError with MySQL's own words."""
        text = run(
            self._command("mysql", "--batch", "--skip-column-names"),
            text=self._password + statement.encode() + b"\n",
        )
        return [line.split("\t") for line in text.splitlines()]

    def objects(self, schema: str, kind: str) -> list[str]:
        """Returns the names of a schema's tables (BASE TABLE) or views (VIEW)."""
        return [
            row[0]
            for row in self.ask(
                "SELECT table_name FROM information_schema.tables "
                f"WHERE table_schema = {_text(schema)} AND table_type = {_text(kind)}"
            )
        ]

    @contextlib.contextmanager
    def _output(self, *arguments: str) -> Iterator[IO[bytes]]:
        process = start(self._command(*arguments), stdin=subprocess.PIPE)
        assert process.stdin
        assert process.stdout
        try:
            process.stdin.write(self._password)
            process.stdin.close()
            yield process.stdout
        except BaseException:
            end(process)
            raise
        process.stdout.read()
        if process.wait() != 0:
            raise FailureError(f"mysqldump of {self.database.name} failed: {said(process)}")

    @contextlib.contextmanager
    def dump(self, schema: str) -> Iterator[IO[bytes]]:
        """Yields the tables of a schema as of one moment. Raises FailureError at its end."""
        views = [f"--ignore-table={schema}.{view}" for view in self.objects(schema, "VIEW")]
        with self._output("mysqldump", *_DUMP, "--skip-triggers", *views, schema) as stream:
            yield stream

    @contextlib.contextmanager
    def dump_beside(self, schema: str) -> Iterator[IO[bytes]]:
        """Yields what hangs on the tables: triggers, routines, events."""
        with self._output("mysqldump", *_DUMP, *_BESIDE, schema) as stream:
            yield stream

    @contextlib.contextmanager
    def dump_views(self, schema: str) -> Iterator[IO[bytes] | None]:
        """Yields the views of a schema; None where it has none."""
        views = self.objects(schema, "VIEW")
        if not views:
            yield None
            return
        with self._output("mysqldump", *_DUMP, schema, *views) as stream:
            yield stream

    def tables(self, schema: str) -> dict[str, dict[str, Any]]:
        """Returns rows and SHA-256 of each table of a schema, as the manifest has them."""
        tables = Tables()
        with self.dump(schema) as stream:
            while part := stream.read(PART):
                tables.feed(part)
        return tables.close()

    def load(self, schema: str, parts: Iterable[bytes]) -> None:
        """Gives a dump to a schema. Raises FailureError with MySQL's own words."""
        process = start(
            self._command("mysql", f"--database={schema}"),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        assert process.stdin
        try:
            process.stdin.write(self._password)
            for part in parts:
                process.stdin.write(part)
            process.stdin.close()
        except BrokenPipeError:
            with contextlib.suppress(OSError):
                process.stdin.close()
        except BaseException:
            end(process)
            raise
        if process.wait() != 0:
            raise FailureError(
                f"MySQL did not take the data: {said(process)}",
                "df -h; sudo docker compose -p "
                f"{self.database.project} logs --tail 50 {self.database.service}",
            )

    def empty(self, schema: str) -> None:
        """Makes a schema that holds nothing, with the character set of the database."""
        ((charset, collation),) = self.ask(
            "SELECT default_character_set_name, default_collation_name FROM "
            f"information_schema.schemata WHERE schema_name = {_text(self.database.name)}"
        ) or [["utf8mb4", "utf8mb4_0900_ai_ci"]]
        self.ask(
            f"DROP DATABASE IF EXISTS {name(schema)}; "
            f"CREATE DATABASE {name(schema)} CHARACTER SET {charset} COLLATE {collation}"
        )

    def drop(self, *schemas: str) -> None:
        """Drops schemas where they are."""
        for schema in schemas:
            self.ask(f"DROP DATABASE IF EXISTS {name(schema)}")

    def schemas(self, beginning: str) -> list[str]:
        """Returns the schemas whose names begin so."""
        return sorted(row[0] for row in self.ask("SHOW DATABASES") if row[0].startswith(beginning))

    def swap(self, coming: str, leaving: str) -> None:
        """Lets the tables of `coming` take the place of ours, which go to `leaving`.

        In one statement: all of them, or none.
        """
        ours = self.database.name
        # A table cannot take its triggers along.
        triggers = self.ask(
            "SELECT trigger_name FROM information_schema.triggers "
            f"WHERE trigger_schema = {_text(ours)}"
        )
        for row in triggers:
            self.ask(f"DROP TRIGGER {name(ours)}.{name(row[0])}")
        moves = [(ours, table, leaving) for table in self.objects(ours, "BASE TABLE")]
        moves += [(coming, table, ours) for table in self.objects(coming, "BASE TABLE")]
        if moves:
            self.ask(
                "RENAME TABLE "
                + ", ".join(f"{name(a)}.{name(t)} TO {name(b)}.{name(t)}" for a, t, b in moves)
            )

    @property
    def version(self) -> str:
        """The server's version."""
        return self.ask("SELECT VERSION()")[0][0]


def _text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
