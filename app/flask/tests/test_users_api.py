"""/api/users."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.security import check_password_hash

from tests.conftest import ADMIN_PASSWORD, basic
from webapp import db

ANA = {
    "name": "Ana Núñez 🌻",
    "email": "ana@example.com",
    "username": "ana",
    "password": "correct horse",
}
Send = Callable[..., Any]


def test_a_user_is_created_read_replaced_and_deleted(admin: Send) -> None:
    created = admin("POST", "/api/users", json=ANA)
    assert created.status_code == 201
    path = created.headers["Location"]
    assert path == f"/api/users/{created.json['id']}"

    assert admin("GET", path).json == created.json
    assert created.json["name"] == ANA["name"]

    changed = {**ANA, "name": "Ana María", "email": "am@example.com"}
    replaced = admin("PUT", path, json=changed)
    assert replaced.status_code == 200
    assert (replaced.json["name"], replaced.json["email"]) == ("Ana María", "am@example.com")

    assert admin("DELETE", path).status_code == 204
    assert admin("GET", path).status_code == 404
    assert admin("DELETE", path).status_code == 404
    assert admin("PUT", path, json=changed).status_code == 404


def test_the_list_has_users_and_their_number(admin: Send) -> None:
    for number in range(3):
        user = {**ANA, "username": f"user{number}", "email": f"u{number}@example.com"}
        admin("POST", "/api/users", json=user)
    page = admin("GET", "/api/users?limit=2&offset=1").json
    assert [user["username"] for user in page["items"]] == ["user1", "user2"]
    assert (page["total"], page["limit"], page["offset"]) == (3, 2, 1)


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "offset=-1", "offset=²"])
def test_a_page_outside_the_bounds_is_refused(admin: Send, query: str) -> None:
    answer = admin("GET", f"/api/users?{query}")
    assert answer.status_code == 422
    assert list(answer.json["errors"]) == [query.partition("=")[0]]


def test_the_password_is_stored_as_a_hash_and_never_shown(app: Flask, admin: Send) -> None:
    answers = [admin("POST", "/api/users", json=ANA)]
    path = answers[0].headers["Location"]
    answers += [admin("GET", path), admin("GET", "/api/users"), admin("PUT", path, json=ANA)]
    for answer in answers:
        assert "password" not in answer.text
        assert ANA["password"] not in answer.text
        assert "scrypt" not in answer.text
    with app.app_context():
        row = db.row("SELECT password FROM users")
    assert row
    assert check_password_hash(row["password"], ANA["password"])


def test_put_without_a_password_keeps_it(app: Flask, admin: Send) -> None:
    path = admin("POST", "/api/users", json=ANA).headers["Location"]
    rest = {name: value for name, value in ANA.items() if name != "password"}
    assert admin("PUT", path, json=rest).status_code == 200
    with app.app_context():
        row = db.row("SELECT password FROM users")
    assert row
    assert check_password_hash(row["password"], ANA["password"])


@pytest.mark.parametrize(("field", "other"), [("username", "email"), ("email", "username")])
def test_a_second_user_with_the_same_name_or_address_is_refused(
    admin: Send, field: str, other: str
) -> None:
    admin("POST", "/api/users", json=ANA)
    value = {"email": "other@example.com", "username": "other"}[other]
    answer = admin("POST", "/api/users", json={**ANA, other: value})
    assert answer.status_code == 409
    assert answer.json["errors"] == {field: "taken"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "   "),
        ("name", "x" * 101),
        ("name", 7),
        ("name", None),
        ("name", "a\0b"),
        ("name", "\ud800"),
        ("email", "ana"),
        ("email", "ana@example"),
        ("email", "a b@example.com"),
        ("email", "ana@exam\nple.com"),
        ("username", "ab"),
        ("username", "ana núñez"),
        ("password", "short"),
        ("password", "x" * 129),
        ("role", "admin"),
    ],
)
def test_a_wrong_field_is_named(admin: Send, field: str, value: object) -> None:
    # json.dumps writes ASCII alone, so that half a surrogate pair gets through.
    content = json.dumps({**ANA, field: value})
    answer = admin("POST", "/api/users", data=content, content_type="application/json")
    assert answer.status_code == 422
    assert answer.json["status"] == 422
    assert list(answer.json["errors"]) == [field]


def test_all_missing_fields_are_named_at_once(admin: Send) -> None:
    answer = admin("POST", "/api/users", json={})
    assert answer.status_code == 422
    assert answer.json["errors"] == dict.fromkeys(ANA, "missing")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        basic("admin", "wrong"),
        basic("admin", ""),
        basic("root", ADMIN_PASSWORD),
        {"Authorization": "Bearer x"},
        {"Authorization": "Basic %%%"},
    ],
)
def test_nobody_but_the_administrator_gets_in(
    client: FlaskClient, method: str, headers: dict[str, str]
) -> None:
    answer = client.open("/api/users", method=method, headers=headers, json=ANA)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")
    assert answer.json is not None
    assert answer.json["status"] == 401
