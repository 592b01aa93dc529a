"""MySQL: the pool of connections, and the transaction in which a request does its work."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import mysql.connector
from flask import Flask, current_app
from mysql.connector import errorcode
from sqlalchemy import URL, Connection, Engine, QueuePool, create_engine, event
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

# Seconds. Apache gives an answer 30 s; a page that waits for the database fails well before.
CONNECT_TIMEOUT = 3
QUERY_TIMEOUT = 10
WAIT_TIMEOUT = 5.0
# Below MySQL's wait_timeout (8 hours): it never closes a connection that is about to be used.
RECYCLE = 3600

# A transaction of several statements, and a statement that is one by itself.
TRANSACTION = "READ COMMITTED"
SINGLE = "AUTOCOMMIT"

# Seconds for which /readyz tells that a change could not be kept, unless a later one is.
FAULT_SHOWN = 60.0

NO_ANSWER = "does not answer"
BUSY = "is busy"
FULL = "has no space left"
READ_ONLY = "takes no changes (read-only)"
UNMIGRATED = "has no tables of this release yet (the migration has not run)"
# What of MySQL's errors is the server's fault and not the statement's. Their classes do not tell.
OUTAGES = {
    errorcode.ER_NO_SUCH_TABLE: UNMIGRATED,
    errorcode.ER_BAD_FIELD_ERROR: UNMIGRATED,
    errorcode.ER_LOCK_DEADLOCK: BUSY,
    errorcode.ER_LOCK_WAIT_TIMEOUT: BUSY,
    errorcode.ER_DISK_FULL_NOWAIT: FULL,
    errorcode.ER_ERROR_ON_WRITE: FULL,
    errorcode.ER_RECORD_FILE_FULL: FULL,
    errorcode.ER_OPTION_PREVENTS_STATEMENT: READ_ONLY,
    errorcode.ER_READ_ONLY_MODE: READ_ONLY,
    errorcode.ER_INNODB_READ_ONLY: READ_ONLY,
    errorcode.ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION: READ_ONLY,
}


class DatabaseUnavailableError(Exception):
    """MySQL does not answer, refuses the connection, is busy or full, or has no tables yet.

    Attributes:
        reason: why, in words that everybody may read.
    """

    def __init__(self, message: str, reason: str = NO_ANSWER) -> None:
        """Remember the reason."""
        super().__init__(message)
        self.reason = reason


class DuplicateError(Exception):
    """A unique key holds this value already.

    Attributes:
        field: the column, named like its unique key.
    """

    def __init__(self, field: str) -> None:
        """Remember the column."""
        super().__init__(f"duplicate {field}")
        self.field = field


class Address(Protocol):
    """Where the database is, and as whom: Settings and MigrationSettings."""

    @property
    def database_host(self) -> str:
        """Name or address of the server."""

    @property
    def database_port(self) -> int:
        """Its port."""

    @property
    def database_name(self) -> str:
        """Name of the database."""

    @property
    def database_user(self) -> str:
        """Name of the MySQL user."""

    @property
    def database_password(self) -> str:
        """Its password."""

    @property
    def pool_size(self) -> int:
        """Connections that are kept."""


def make_engine(
    settings: Address, query_timeout: int = QUERY_TIMEOUT, isolation: str = TRANSACTION
) -> Engine:
    """Return an engine; it opens a connection only when one is needed.

    Args:
        settings: where the database is, and as whom.
        query_timeout: seconds after which a statement without an answer is given up.
        isolation: of its connections, as they come.
    """
    engine = create_engine(
        URL.create(
            "mysql+mysqlconnector",
            settings.database_user,
            settings.database_password,
            settings.database_host,
            settings.database_port,
            settings.database_name,
        ),
        # Exactly as many as threads: none waits, and MySQL's max_connections is never met.
        poolclass=QueuePool,
        pool_size=settings.pool_size,
        max_overflow=0,
        pool_timeout=WAIT_TIMEOUT,
        pool_recycle=RECYCLE,
        # The one used last is used first, so that what is idle stays idle.
        pool_use_lifo=True,
        # A restart of MySQL costs nobody an error: a dead connection is noticed and replaced.
        pool_pre_ping=True,
        isolation_level=isolation,
        skip_autocommit_rollback=True,
        # An error's text never carries what users sent: passwords, addresses.
        hide_parameters=True,
        connect_args={
            "charset": "utf8mb4",
            "collation": "utf8mb4_0900_ai_ci",
            "connection_timeout": CONNECT_TIMEOUT,
            "read_timeout": query_timeout,
            "write_timeout": query_timeout,
        },
    )

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: object, _record: object, arguments: Any, options: Any) -> object:
        try:
            connection = mysql.connector.connect(*arguments, **options)
        except mysql.connector.Error as error:
            # Whatever its class: access denied while a password changes, an unknown host, a server
            # that is starting.
            raise DatabaseUnavailableError(str(error)) from error
        # The pool asks whether it is alive, once a use; the driver would ask again for each cursor.
        connection.is_connected = lambda: True
        return connection

    return engine


@contextmanager
def _told() -> Iterator[None]:
    """Turn errors of the driver and the pool into those of this module."""
    try:
        yield
    except IntegrityError as error:
        if getattr(error.orig, "errno", None) != errorcode.ER_DUP_ENTRY:
            raise
        # "Duplicate entry 'ana' for key 'users.username'"
        message = str(getattr(error.orig, "msg", ""))
        raise DuplicateError(message.rpartition(".")[2].strip("'")) from error
    except PoolTimeoutError as error:
        raise DatabaseUnavailableError("all connections are taken", BUSY) from error
    except DBAPIError as error:
        if reason := _outage(error):
            raise DatabaseUnavailableError(str(error.orig), reason) from error
        raise


@contextmanager
def session_of(engine: Engine) -> Iterator[Session]:
    """Lend a session whose transaction is committed at the end, or rolled back by an exception.

    Raises:
        DuplicateError: a unique key holds the value already.
        DatabaseUnavailableError: see there. Whether a change took place is unknown.
    """
    with _told(), Session(engine, expire_on_commit=False) as session, session.begin():
        yield session


def _outage(error: DBAPIError) -> str:
    """Return why the server, and not the statement, is at fault; empty when it is not."""
    if reason := OUTAGES.get(getattr(error.orig, "errno", 0)):
        return reason
    kinds = (
        mysql.connector.OperationalError,
        mysql.connector.InterfaceError,
        mysql.connector.errors.PoolError,
    )
    return NO_ANSWER if error.connection_invalidated or isinstance(error.orig, kinds) else ""


class Faults:
    """Why the last change was not kept, for a while: nothing but a change shows it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with nothing.

        Args:
            clock: seconds.
        """
        self._clock = clock
        self._last: tuple[str, float] | None = None

    def tell(self, reason: str) -> None:
        """Remember why."""
        self._last = reason, self._clock()

    def forget(self) -> None:
        """Forget it: a change was kept."""
        self._last = None

    def reason(self) -> str:
        """Return why, while it is shown; else nothing."""
        last = self._last
        return last[0] if last and last[1] + FAULT_SHOWN > self._clock() else ""


def init_app(app: Flask, settings: Address) -> None:
    """Give the application its pool."""
    app.extensions["faults"] = Faults()
    engine = make_engine(settings, isolation=SINGLE)
    app.extensions["engine"] = engine
    app.extensions["changing_engine"] = engine.execution_options(isolation_level=TRANSACTION)


@contextmanager
def session() -> Iterator[Session]:
    """Lend a session of the current application, to change something; see session_of."""
    faults: Faults = current_app.extensions["faults"]
    try:
        with session_of(current_app.extensions["changing_engine"]) as lent:
            yield lent
    except DatabaseUnavailableError as error:
        if error.reason in {FULL, READ_ONLY}:
            faults.tell(error.reason)
        raise
    faults.forget()


@contextmanager
def reading() -> Iterator[Connection]:
    """Lend a connection of the current application, to read.

    Each statement sees what is committed by then. It takes two round trips, one of which asks
    whether MySQL is there; that of a session takes eight.

    Raises:
        DatabaseUnavailableError: see there.
    """
    engine: Engine = current_app.extensions["engine"]
    with _told(), engine.connect() as connection:
        yield connection


def pool_use(app: Flask) -> tuple[int, int]:
    """Return how many connections are in use, and how many there may be."""
    pool = app.extensions["engine"].pool
    return pool.checkedout(), pool.size()
