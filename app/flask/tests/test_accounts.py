"""Logins: how often they may be wrong, and what is remembered."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import MagicMock

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.security import generate_password_hash

from tests.conftest import ADMIN_PASSWORD, basic
from webapp import accounts, db, logs, passwords
from webapp.accounts import TRIES, TRIES_OF_ADDRESS, WINDOW, Remembered, TooManyTriesError, Tries
from webapp.models import User

Send = Callable[..., Any]


class Clock:
    """A clock that is turned by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_tries_run_out_and_come_back() -> None:
    clock = Clock()
    tries = Tries(clock)
    for _ in range(3):
        tries.begin({"x": 3})
        clock.now += 10
    with pytest.raises(TooManyTriesError) as failure:
        tries.begin({"x": 3})
    assert failure.value.wait == WINDOW - 30
    clock.now += WINDOW - 30
    tries.begin({"x": 3})
    with pytest.raises(TooManyTriesError):
        tries.begin({"x": 3})
    tries.begin({"y": 3})


def test_a_refused_try_does_not_make_the_wait_longer() -> None:
    clock = Clock()
    tries = Tries(clock)
    tries.begin({"x": 1})
    for _ in range(100):
        with pytest.raises(TooManyTriesError):
            tries.begin({"x": 1})
    clock.now += WINDOW
    tries.begin({"x": 1})


def test_a_try_that_ends_well_does_not_count() -> None:
    tries = Tries(Clock())
    for _ in range(10):
        tries.forget({"x": 1}, tries.begin({"x": 1}))


def test_tries_at_the_same_time_are_all_counted() -> None:
    tries = Tries()

    def one(_: int) -> bool:
        try:
            tries.begin({"x": 5})
        except TooManyTriesError:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(one, range(200))) == 5


def test_only_so_many_addresses_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "WATCHED", 10)
    tries = Tries()
    for number in range(100):
        tries.begin({number: 1})
    assert len(tries._tries) == 10


def test_a_right_pair_is_remembered_for_a_minute() -> None:
    clock = Clock()
    remembered = Remembered(clock)
    remembered.learn("hash", "password")
    assert remembered.knows("hash", "password")
    assert not remembered.knows("hash", "other")
    assert not remembered.knows("new hash", "password")
    assert not Remembered(clock).knows("hash", "password")
    assert "password" not in repr(remembered.__dict__)
    clock.now += accounts.REMEMBERED
    assert not remembered.knows("hash", "password")


def test_only_so_many_pairs_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "REMEMBERED_PAIRS", 2)
    remembered = Remembered(Clock())
    for number in range(3):
        remembered.learn("hash", str(number))
    assert [remembered.knows("hash", str(number)) for number in range(3)] == [False, True, True]


def test_basic_costs_one_hash_and_not_one_a_request(
    admin: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_right = MagicMock(wraps=passwords.is_right)
    monkeypatch.setattr(passwords, "is_right", is_right)
    for _ in range(5):
        assert admin("GET", "/api/users").status_code == 200
    assert is_right.call_count == 1


def test_wrong_passwords_are_refused_for_a_while_and_from_there_alone(client: FlaskClient) -> None:
    def ask(password: str, address: str) -> Any:
        return client.get(
            "/api/users",
            headers={**basic("admin", password), "X-Forwarded-For": address},
        )

    for _ in range(TRIES):
        assert ask("wrong", "203.0.113.1").status_code == 401
    refused = ask("wrong", "203.0.113.1")
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= WINDOW
    assert refused.json["status"] == 429
    # Not even the right one: otherwise the guesser would learn of it.
    assert ask(ADMIN_PASSWORD, "203.0.113.1").status_code == 429
    assert ask(ADMIN_PASSWORD, "203.0.113.2").status_code == 200


def test_one_address_may_not_try_all_accounts(client: FlaskClient) -> None:
    statuses = [
        client.get("/api/users", headers=basic(f"user{number}", "x")).status_code
        for number in range(TRIES_OF_ADDRESS + 1)
    ]
    assert statuses == [401] * TRIES_OF_ADDRESS + [429]


def test_a_password_that_nobody_looked_at_is_no_try(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = MagicMock(side_effect=passwords.BusyError)
    with monkeypatch.context() as patch:
        patch.setattr(passwords, "is_right", busy)
        for _ in range(TRIES + 1):
            answer = client.get("/api/users", headers=basic("admin", ADMIN_PASSWORD))
            assert (answer.status_code, answer.headers["Retry-After"]) == (429, "5")
    assert client.get("/api/users", headers=basic("admin", ADMIN_PASSWORD)).status_code == 200


def test_case_gives_no_more_tries(client: FlaskClient) -> None:
    names = ["admin", "ADMIN", "Admin", "aDmin", "adMin", "admIn"]
    statuses = [client.get("/api/users", headers=basic(n, "x")).status_code for n in names]
    assert statuses == [401] * TRIES + [429]


def test_other_spellings_of_a_name_give_no_more_tries(client: FlaskClient) -> None:
    """MySQL finds the account by them all."""
    names = ["ádmin", "\uff41dmin", "admin\u200b", "ADMIN", "àdmin", "admín"]
    statuses = [client.get("/api/users", headers=basic(n, "x")).status_code for n in names]
    assert statuses == [401] * TRIES + [429]


def test_a_client_cannot_choose_its_address(client: FlaskClient) -> None:
    """Apache adds the address that it sees at the end; what a client wrote before it is ignored."""
    statuses = [
        client.get(
            "/api/users",
            headers={**basic("admin", "x"), "X-Forwarded-For": f"10.0.0.{number}, 203.0.113.9"},
        ).status_code
        for number in range(TRIES + 1)
    ]
    assert statuses[-1] == 429


def test_a_hash_of_an_earlier_release_is_made_anew_at_the_login(
    app: Flask, client: FlaskClient
) -> None:
    old = generate_password_hash("correct horse", method="scrypt:16384:8:5")
    with app.app_context(), db.session() as session:
        session.add(
            User(name="Ana", email="ana@example.com", username="ana", role="admin", password=old)
        )
    assert client.get("/api/users", headers=basic("ana", "wrong horse")).status_code == 401
    for _ in range(2):
        assert client.get("/api/users", headers=basic("ana", "correct horse")).status_code == 200
    with app.app_context():
        user = accounts.find("ana")
    assert user
    assert user.password.startswith("$argon2id$")


def test_failed_and_refused_logins_are_logged_without_what_was_typed(
    client: FlaskClient, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.to_stderr()
    for name in ("admin", "nobody-unmistakable"):
        for _ in range(TRIES + 1):
            client.get("/api/users", headers=basic(name, "unmistakable"))
    logged = capsys.readouterr().err
    lines = [json.loads(line) for line in logged.splitlines()]
    assert [line["message"][:14] for line in lines] == [
        *["A login failed"] * TRIES, "A login was re",
        *["A login failed"] * TRIES, "A login was re",
    ]  # fmt: skip
    # The account, where there is one; the text may be a password in the wrong field.
    assert isinstance(lines[TRIES]["user"], int)
    assert lines[-1]["user"] is None
    assert {line["address"] for line in lines} == {"127.0.0.1"}
    assert "unmistakable" not in logged
