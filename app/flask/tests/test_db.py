"""The pool, transactions, and rights."""

from __future__ import annotations

import threading
from contextlib import ExitStack

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tests.conftest import json_of
from webapp import db


def test_there_are_never_more_connections_than_threads(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = app.extensions["engine"]
    monkeypatch.setattr(engine.pool, "_timeout", 0.05)
    with app.app_context(), ExitStack() as stack:
        for _ in range(engine.pool.size()):
            stack.enter_context(engine.connect())
        assert db.pool_use(app) == (8, 8)
        with pytest.raises(db.DatabaseUnavailableError, match="taken"), db.session() as session:
            session.execute(text("SELECT 1"))
    assert db.pool_use(app) == (0, 8)


def test_who_waits_gets_the_next_free_one(app: Flask) -> None:
    engine = app.extensions["engine"]
    got = threading.Event()

    def wait() -> None:
        with engine.connect():
            got.set()

    with ExitStack() as stack:
        for _ in range(engine.pool.size()):
            stack.enter_context(engine.connect())
        thread = threading.Thread(target=wait)
        thread.start()
        assert not got.is_set()
    thread.join(timeout=5)
    assert got.is_set()


def test_a_connection_that_the_server_ended_is_replaced(app: Flask) -> None:
    engine = app.extensions["engine"]
    numbers = text("SELECT CONNECTION_ID()")
    with engine.connect() as killer:
        with engine.connect() as other:
            number = other.scalar(numbers)
        killer.execute(text(f"KILL {number}"))
        with app.app_context(), db.session() as session:
            assert session.scalar(numbers) != number


def insert_and_fail() -> None:
    with db.session() as session:
        session.execute(text("INSERT INTO products (name, price) VALUES ('x', 1)"))
        raise ZeroDivisionError


def test_an_exception_takes_the_change_back(app: Flask) -> None:
    with app.app_context():
        with pytest.raises(ZeroDivisionError):
            insert_and_fail()
        with db.session() as session:
            assert session.scalar(text("SELECT COUNT(*) FROM products")) == 0


def test_the_error_of_a_statement_shows_no_value(app: Flask) -> None:
    statement = text("INSERT INTO products (name, price) VALUES (:name, 'unmistakable')")
    with app.app_context(), pytest.raises(DBAPIError) as failure, db.session() as session:
        session.execute(statement, {"name": "hidden-value"})
    assert "hidden-value" not in str(failure.value)


@pytest.mark.parametrize(
    ("number", "reason"),
    [(1213, "is busy"), (1205, "is busy"), (1290, "takes no changes (read-only)"),
     (1836, "takes no changes (read-only)"), (1114, "has no space left"),
     (1026, "has no space left")],
)  # fmt: skip
def test_what_is_mysqls_fault_is_told_as_that(app: Flask, number: int, reason: str) -> None:
    """The server itself raises the error."""
    statement = text(f"SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = {number}, MESSAGE_TEXT = 'x'")
    with (
        app.app_context(),
        pytest.raises(db.DatabaseUnavailableError) as failure,
        db.session() as session,
    ):
        session.execute(statement)
    assert failure.value.reason == reason
    answer = app.test_client().get("/readyz")
    if reason == "is busy":
        assert answer.status_code == 200
    else:
        # Only a change shows it, so it is remembered until the next one, for a minute at most.
        assert answer.status_code == 503
        assert json_of(answer)["detail"] == f"The database {reason}."
        assert int(answer.headers["Retry-After"]) > 0
        with app.app_context(), db.session() as session:
            session.execute(text("DELETE FROM submissions"))
        assert app.test_client().get("/readyz").status_code == 200


def test_a_fault_is_not_shown_for_ever() -> None:
    now = 1000.0
    faults = db.Faults(lambda: now)
    faults.tell(db.FULL)
    assert faults.reason() == db.FULL
    now += db.FAULT_SHOWN
    assert faults.reason() == ""


@pytest.mark.parametrize(
    "statement",
    ["DROP TABLE products", "ALTER TABLE products ADD x INT", "CREATE TABLE x (id INT)",
     "TRUNCATE products", "CREATE USER x"],
)  # fmt: skip
def test_the_applications_user_cannot_change_the_schema(app: Flask, statement: str) -> None:
    with app.app_context(), pytest.raises(DBAPIError, match="denied"), db.session() as session:
        session.execute(text(statement))
