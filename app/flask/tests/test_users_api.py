"""/api/users."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.conftest import ADMIN_PASSWORD, basic
from webapp import accounts
from webapp.passwords import is_right

ANA = {
    "name": "Ana Núñez 🌻",
    "email": "ana@example.com",
    "username": "ana",
    "password": "correct horse",
}
Send = Callable[..., Any]
# PUT replaces whatever is there.
ANY = {"If-Match": "*"}


def test_a_user_is_created_read_replaced_and_deleted(admin: Send) -> None:
    created = admin("POST", "/api/users", json=ANA)
    assert created.status_code == 201
    path = created.headers["Location"]
    assert path == f"/api/users/{created.json['id']}"

    assert admin("GET", path).json == created.json
    assert created.json["name"] == ANA["name"]

    changed = {**ANA, "name": "Ana María", "email": "am@example.com"}
    replaced = admin("PUT", path, json=changed, headers=ANY)
    assert replaced.status_code == 200
    assert (replaced.json["name"], replaced.json["email"]) == ("Ana María", "am@example.com")

    patched = admin("PATCH", path, json={"name": "Ana"})
    assert patched.status_code == 200
    assert (patched.json["name"], patched.json["email"]) == ("Ana", "am@example.com")

    assert admin("DELETE", path).status_code == 204
    assert admin("GET", path).status_code == 404
    assert admin("DELETE", path).status_code == 404
    assert admin("PUT", path, json=changed, headers=ANY).status_code == 404


def test_the_list_has_users_and_their_number(admin: Send) -> None:
    for number in range(3):
        user = {**ANA, "username": f"user{number}", "email": f"u{number}@example.com"}
        admin("POST", "/api/users", json=user)
    page = admin("GET", "/api/users?per_page=2&page=2&sort=username").json
    assert [user["username"] for user in page["items"]] == ["user1", "user2"]
    assert (page["total"], page["per_page"], page["page"], page["pages"]) == (4, 2, 2, 2)
    found = admin("GET", "/api/users?q=u1@ex").json
    assert [user["username"] for user in found["items"]] == ["user1"]


@pytest.mark.parametrize(
    "query",
    ["page=0", "page=-1", "page=²", "page=999999999", "page=1e3", "per_page=0", "per_page=101",
     "per_page=x", "per_page=", f"q={'x' * 101}", "sort=password", "sort=name,id", "sort=--id"],
)  # fmt: skip
def test_a_page_outside_the_bounds_is_refused(admin: Send, query: str) -> None:
    answer = admin("GET", f"/api/users?{query}")
    assert answer.status_code == 422
    assert list(answer.json["errors"]) == [query.partition("=")[0]]


def stored(app: Flask, username: str = "ana") -> str:
    """The hash of a user."""
    with app.app_context():
        user = accounts.find(username)
    assert user
    return user.password


def test_the_password_is_stored_as_a_hash_and_never_shown(app: Flask, admin: Send) -> None:
    answers = [admin("POST", "/api/users", json=ANA)]
    path = answers[0].headers["Location"]
    answers += [
        admin("GET", path),
        admin("GET", "/api/users"),
        admin("PUT", path, json=ANA, headers=ANY),
    ]
    answers += [admin("PATCH", path, json={"password": ANA["password"]})]
    for answer in answers:
        assert "password" not in answer.text
        assert ANA["password"] not in answer.text
        assert "argon2" not in answer.text
    assert stored(app).startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert is_right(stored(app), ANA["password"])


def test_put_and_patch_without_a_password_keep_it(app: Flask, admin: Send) -> None:
    path = admin("POST", "/api/users", json=ANA).headers["Location"]
    rest = {name: value for name, value in ANA.items() if name != "password"}
    assert admin("PUT", path, json=rest, headers=ANY).status_code == 200
    assert admin("PATCH", path, json={"name": "x"}).status_code == 200
    assert is_right(stored(app), ANA["password"])


def test_the_account_in_use_cannot_be_deleted(admin: Send) -> None:
    me = admin("GET", "/api/users?q=admin").json["items"][0]
    answer = admin("DELETE", f"/api/users/{me['id']}")
    assert answer.status_code == 409
    assert admin("GET", "/api/users").status_code == 200


@pytest.mark.parametrize(("field", "other"), [("username", "email"), ("email", "username")])
def test_a_second_user_with_the_same_name_or_address_is_refused(
    admin: Send, field: str, other: str
) -> None:
    admin("POST", "/api/users", json=ANA)
    value = {"email": "other@example.com", "username": "other"}[other]
    answer = admin("POST", "/api/users", json={**ANA, other: value})
    assert answer.status_code == 409
    assert answer.json["errors"] == {field: "taken"}
    # Names differ by more than case.
    upper = {**ANA, other: value, field: ANA[field].upper()}
    assert admin("POST", "/api/users", json=upper).status_code == 409
    second = admin("POST", "/api/users", json={**ANA, field: f"x{ANA[field]}", other: value})
    taken = admin("PATCH", second.headers["Location"], json={field: ANA[field]})
    assert (taken.status_code, taken.json["errors"]) == (409, {field: "taken"})


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
        ("role", "boss"),
        ("roles", "admin"),
        ("password", "password"),
        ("password", "        "),
        ("password", "ana@example.com"),
        ("name", "\u200b\u200b"),
        ("name", "evil\u202etxt.exe"),
        ("name", "Ana\t"),
        ("email", "x@-.--"),
        ("email", "a@b..com"),
        ("email", "a@example.c0m-"),
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


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        basic("admin", "wrong"),
        basic("admin", ""),
        basic("root", ADMIN_PASSWORD),
        basic("", ""),
        basic("admin", "x" * 2000),
        basic("x" * 2000, "x"),
        basic("admin' -- ", "x"),
        {"Authorization": "Bearer x"},
        {"Authorization": "Basic"},
        {"Authorization": "Basic /w=="},
        {"Authorization": "Basic %%%"},
    ],
)
def test_nobody_without_an_account_gets_in(
    client: FlaskClient, method: str, headers: dict[str, str]
) -> None:
    answer = client.open("/api/users", method=method, headers=headers, json=ANA)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")
    assert method == "HEAD" or (answer.json or {})["status"] == 401


def test_a_new_password_and_the_end_of_an_account_hold_at_once(
    client: FlaskClient, admin: Send
) -> None:
    path = admin("POST", "/api/users", json={**ANA, "role": "admin"}).headers["Location"]
    ana = basic("ana", ANA["password"])
    assert client.get("/api/users", headers=ana).status_code == 200
    admin("PATCH", path, json={"password": "another horse"})
    assert client.get("/api/users", headers=ana).status_code == 401
    admin("DELETE", path)
    assert client.get("/api/users", headers=basic("ana", "another horse")).status_code == 401
