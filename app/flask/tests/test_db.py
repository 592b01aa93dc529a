"""The pool."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from unittest.mock import MagicMock

import mysql.connector
import pytest
from flask import Flask

from webapp import db


def fake_pool(size: int) -> tuple[db.Pool, list[MagicMock]]:
    """A pool of connections that only remember what happened to them."""
    opened: list[MagicMock] = []

    def connect() -> MagicMock:
        opened.append(MagicMock())
        return opened[-1]

    return db.Pool(connect, size), opened


def test_a_connection_is_used_again() -> None:
    pool, opened = fake_pool(2)
    for _ in range(3):
        with pool.connection():
            pass
    assert len(opened) == 1


def test_there_are_never_more_than_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "WAIT_TIMEOUT", 0.05)
    pool, opened = fake_pool(2)
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(pool.connection())
        with pytest.raises(db.DatabaseUnavailableError, match="taken"), pool.connection():
            pass
    assert len(opened) == 2


def test_who_waits_gets_the_next_free_one() -> None:
    pool, opened = fake_pool(1)
    got = threading.Event()

    def wait() -> None:
        with pool.connection():
            got.set()

    with pool.connection():
        thread = threading.Thread(target=wait)
        thread.start()
        assert not got.is_set()
    thread.join(timeout=5)
    assert got.is_set()
    assert len(opened) == 1


def test_a_dead_connection_is_replaced() -> None:
    pool, opened = fake_pool(1)
    with pool.connection():
        pass
    opened[0].is_connected.return_value = False
    with pool.connection() as connection:
        assert connection is opened[1]
    opened[0].disconnect.assert_called_once()


def test_a_connection_that_breaks_in_use_is_dropped_and_its_place_is_free() -> None:
    pool, opened = fake_pool(1)
    for _ in range(3):
        with pytest.raises(db.DatabaseUnavailableError), pool.connection():
            raise mysql.connector.OperationalError("gone away")
    assert len(opened) == 3
    with pool.connection():
        pass


def test_failing_to_connect_costs_no_place() -> None:
    def connect() -> MagicMock:
        raise mysql.connector.ProgrammingError("access denied")

    pool = db.Pool(connect, 1)
    for _ in range(3):
        with pytest.raises(db.DatabaseUnavailableError, match="access denied"), pool.connection():
            pass


def test_a_change_tells_what_it_found(app: Flask) -> None:
    with app.app_context():
        outcome = db.change("INSERT INTO products (name, price) VALUES (%s, %s)", ("x", 1))
        assert outcome.rows == 1
        assert outcome.new_id > 0
        same = ("UPDATE products SET name = %s WHERE id = %s", ("x", outcome.new_id))
        assert db.change(*same).rows == 1
        assert db.change("DELETE FROM products WHERE id = %s", (0,)).rows == 0


def test_the_applications_user_cannot_change_the_schema(app: Flask) -> None:
    with app.app_context(), pytest.raises(mysql.connector.Error, match="denied"):
        db.change("DROP TABLE products")
