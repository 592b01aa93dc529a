"""A request of the API that is sent again adds nothing."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from tests.conftest import ADMIN_PASSWORD, basic
from webapp import db

Send = Callable[..., Any]
TEA = {"name": "Té verde", "description": "Hojas", "price": "12.50", "stock": 0}
ANA = {
    "name": "Ana",
    "email": "ana@b.example",
    "username": "ana",
    "password": "correct horse staple",
}
KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}


def total(admin: Send, what: str = "products") -> int:
    count: int = admin("GET", f"/api/{what}").json["total"]
    return count


@pytest.mark.parametrize(("what", "body"), [("products", TEA), ("users", ANA)])
def test_the_same_request_gets_the_same_answer(admin: Send, what: str, body: Any) -> None:
    before = total(admin, what)
    first = admin("POST", f"/api/{what}", json=body, headers=KEY)
    again = admin("POST", f"/api/{what}", json=body, headers=KEY)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json == first.json
    for name in ("ETag", "Location", "Content-Type"):
        assert again.headers[name] == first.headers[name]
    assert total(admin, what) == before + 1
    assert total(admin, "audit") == 1


def test_the_answer_is_that_of_the_first_time(admin: Send) -> None:
    first = admin("POST", "/api/products", json=TEA, headers=KEY)
    admin("PATCH", first.headers["Location"], json={"stock": 7})
    assert admin("POST", "/api/products", json=TEA, headers=KEY).json == first.json


def test_another_body_is_refused(admin: Send) -> None:
    admin("POST", "/api/products", json=TEA, headers=KEY)
    other = admin("POST", "/api/products", json=TEA | {"stock": 1}, headers=KEY)
    assert other.status_code == 422
    assert other.json["errors"] == {"Idempotency-Key": "was sent with another body before"}
    assert total(admin) == 1


def test_another_order_of_the_fields_is_the_same_body(admin: Send) -> None:
    admin("POST", "/api/products", json=TEA, headers=KEY)
    turned = dict(reversed(TEA.items()))
    assert admin("POST", "/api/products", json=turned, headers=KEY).status_code == 201
    assert total(admin) == 1


def test_a_request_that_failed_may_be_sent_again(admin: Send) -> None:
    assert admin("POST", "/api/products", json=TEA | {"price": "x"}, headers=KEY).status_code == 422
    assert admin("POST", "/api/products", json=TEA, headers=KEY).status_code == 201
    admin("POST", "/api/users", json=ANA)
    taken = {"Idempotency-Key": "another"}
    for _ in range(2):
        assert admin("POST", "/api/users", json=ANA, headers=taken).status_code == 409


def test_keys_are_an_accounts_and_an_addresss_own(app: Flask, admin: Send) -> None:
    editor = ANA | {"role": "editor"}
    admin("POST", "/api/users", json=editor, headers=KEY)
    admin("POST", "/api/products", json=TEA, headers=KEY)
    by_ana = app.test_client().post(
        "/api/products", json=TEA, headers=KEY | basic("ana", ANA["password"])
    )
    assert by_ana.status_code == 201
    assert total(admin) == 2


@pytest.mark.parametrize("key", ["", "x" * 256, "schlüssel"])
def test_a_key_that_is_none_is_refused(admin: Send, key: str) -> None:
    answer = admin("POST", "/api/products", json=TEA, headers={"Idempotency-Key": key})
    assert answer.status_code == 422
    assert "Idempotency-Key" in answer.json["errors"]
    assert total(admin) == 0


def test_eight_at_once_add_one(app: Flask, admin: Send) -> None:
    def send(_: int) -> tuple[int, str]:
        headers = KEY | basic("admin", ADMIN_PASSWORD)
        answer = app.test_client().post("/api/products", json=TEA, headers=headers)
        return answer.status_code, answer.headers.get("Location", "")

    send_first = admin("GET", "/api/products")
    assert send_first.status_code == 200
    with ThreadPoolExecutor(8) as threads:
        answers = set(threads.map(send, range(8)))
    assert len(answers) == 1, answers
    assert {status for status, _ in answers} == {201}
    assert total(admin) == 1


def test_a_day_later_a_key_is_forgotten(app: Flask, admin: Send) -> None:
    admin("POST", "/api/products", json=TEA, headers=KEY)
    with app.app_context(), db.session() as session:
        session.execute(text("UPDATE requests SET created_at = created_at - INTERVAL 25 HOUR"))
    assert admin("POST", "/api/products", json=TEA, headers=KEY).status_code == 201
    assert total(admin) == 2
    with app.app_context(), db.session() as session:
        assert session.execute(text("SELECT COUNT(*) FROM requests")).scalar() == 1


def test_no_password_and_no_key_can_be_read_from_it(app: Flask, admin: Send) -> None:
    admin("POST", "/api/users", json=ANA, headers=KEY)
    with app.app_context(), db.session() as session:
        rows = str(session.execute(text("SELECT * FROM requests")).all())
    assert "correct horse" not in rows
    assert KEY["Idempotency-Key"] not in rows
