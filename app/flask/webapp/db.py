"""MySQL: a small pool of connections, and the three ways in which the application uses one.

The connector has a pool of its own, but it opens all connections at once, refuses instead of
waiting when all are taken, and loses one when a reconnect fails, so that a restart of MySQL can
empty it for good.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import mysql.connector
from flask import Flask, current_app
from mysql.connector import errorcode
from mysql.connector.abstracts import MySQLConnectionAbstract
from mysql.connector.constants import ClientFlag

from webapp.config import Settings

# Seconds. Apache gives an answer 30 s; a page that waits for the database fails well before.
CONNECT_TIMEOUT = 3
QUERY_TIMEOUT = 10
WAIT_TIMEOUT = 5.0

Row = dict[str, Any]


class DatabaseUnavailableError(Exception):
    """MySQL does not answer, refuses the connection, or all connections are taken."""


class DuplicateError(Exception):
    """A unique key holds this value already.

    Attributes:
        field: the column, named like its unique key.
    """

    def __init__(self, field: str) -> None:
        """Remember the column."""
        super().__init__(f"duplicate {field}")
        self.field = field


@dataclass(frozen=True)
class Outcome:
    """What a change did: rows that it found, and the id that an INSERT was given (0 without)."""

    rows: int
    new_id: int


class Pool:
    """At most `size` connections: opened when needed, kept for the next user, dropped if broken."""

    def __init__(self, connect: Callable[[], MySQLConnectionAbstract], size: int) -> None:
        """Open nothing yet.

        Args:
            connect: opens a connection.
            size: the most connections at any time.
        """
        self._connect = connect
        self._permits = threading.BoundedSemaphore(size)
        # Used at its end only, which is atomic: the connection used last is used first.
        self._idle: list[MySQLConnectionAbstract] = []

    @contextmanager
    def connection(self) -> Iterator[MySQLConnectionAbstract]:
        """Lend a connection that was alive a moment ago.

        Raises:
            DatabaseUnavailableError: none became free in WAIT_TIMEOUT seconds, or none can be
                opened, or the connection broke while it was used.
        """
        if not self._permits.acquire(timeout=WAIT_TIMEOUT):
            raise DatabaseUnavailableError("all connections are taken")
        try:
            connection = self._take()
            try:
                yield connection
            except BaseException:
                # It may be in the middle of anything.
                _drop(connection)
                raise
            self._idle.append(connection)
        except (
            mysql.connector.OperationalError,
            mysql.connector.InterfaceError,
            mysql.connector.errors.PoolError,
        ) as error:
            raise DatabaseUnavailableError(str(error)) from error
        finally:
            self._permits.release()

    def _take(self) -> MySQLConnectionAbstract:
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:
                break
            if connection.is_connected():
                return connection
            _drop(connection)
        try:
            return self._connect()
        except mysql.connector.Error as error:
            # Whatever its class: access denied while a password changes, an unknown host, a server
            # that is starting.
            raise DatabaseUnavailableError(str(error)) from error


def _drop(connection: MySQLConnectionAbstract) -> None:
    """Close without a farewell to the server, which may not be there."""
    with suppress(mysql.connector.Error):
        connection.disconnect()


def init_app(app: Flask, settings: Settings) -> None:
    """Give the application its pool."""

    def connect() -> MySQLConnectionAbstract:
        connection = mysql.connector.connect(
            host=settings.database_host,
            port=settings.database_port,
            database=settings.database_name,
            user=settings.database_user,
            password=settings.database_password,
            charset="utf8mb4",
            autocommit=True,
            connection_timeout=CONNECT_TIMEOUT,
            read_timeout=QUERY_TIMEOUT,
            write_timeout=QUERY_TIMEOUT,
            # An UPDATE that changes nothing counts the row all the same: it was found.
            client_flags=[ClientFlag.FOUND_ROWS],
        )
        if not isinstance(connection, MySQLConnectionAbstract):
            raise TypeError(f"unexpected kind of connection: {type(connection)}")
        return connection

    app.extensions["pool"] = Pool(connect, settings.pool_size)


def _pool() -> Pool:
    pool: Pool = current_app.extensions["pool"]
    return pool


def rows(sql: str, parameters: Sequence[object] = ()) -> list[Row]:
    """Run a SELECT and return its rows, as dictionaries by column name.

    Raises:
        DatabaseUnavailableError: see Pool.connection.
    """
    with _pool().connection() as connection, connection.cursor(dictionary=True) as cursor:
        cursor.execute(sql, tuple(parameters))
        result: list[Row] = cursor.fetchall()
        return result


def row(sql: str, parameters: Sequence[object] = ()) -> Row | None:
    """Run a SELECT and return its first row, or None.

    Raises:
        DatabaseUnavailableError: see Pool.connection.
    """
    return next(iter(rows(sql, parameters)), None)


def change(sql: str, parameters: Sequence[object] = ()) -> Outcome:
    """Run one INSERT, UPDATE or DELETE; it is committed on return.

    Raises:
        DuplicateError: a unique key holds the value already.
        DatabaseUnavailableError: see Pool.connection. Whether the change took place is unknown.
    """
    with _pool().connection() as connection, connection.cursor() as cursor:
        try:
            cursor.execute(sql, tuple(parameters))
        except mysql.connector.IntegrityError as error:
            if error.errno != errorcode.ER_DUP_ENTRY:
                raise
            # "Duplicate entry 'ana' for key 'users.username'"
            raise DuplicateError(str(error.msg).rpartition(".")[2].strip("'")) from error
        return Outcome(rows=cursor.rowcount, new_id=cursor.lastrowid or 0)
