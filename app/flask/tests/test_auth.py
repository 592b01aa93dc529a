"""Sessions, and the protection of what they may do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.conftest import ADMIN_PASSWORD, Browser, basic, json_of, token_of
from webapp.accounts import TRIES

Send = Callable[..., Any]
PRODUCT = {"name": "Té", "price": "1"}


def cookie_of(answer: Any) -> str:
    """The session's cookie, as it is set."""
    found: str = next(c for c in answer.headers.getlist("Set-Cookie") if "session=" in c)
    return found


def test_a_login_leads_to_where_one_wanted_to_go(app: Flask) -> None:
    browser = Browser(app)
    asked = browser.get("/users?q=ana&sort=name")
    assert asked.status_code == 303
    assert asked.headers["Location"] == "/login?next=/users?q%3Dana%26sort%3Dname"
    page = browser.get(asked.headers["Location"]).text
    assert 'name="next" value="/users?q=ana&amp;sort=name"' in page
    signed_in = browser.sign_in(next="/users?q=ana&sort=name")
    assert signed_in.status_code == 303
    assert signed_in.headers["Location"] == "/users?q=ana&sort=name"
    assert browser.get("/users").status_code == 200
    assert browser.get("/login").status_code == 303


@pytest.mark.parametrize(
    "address",
    ["//evil.example", "https://evil.example", "/\\evil.example", "\\\\evil.example",
     "/\t/evil.example", "javascript:alert(1)", "evil.example", "/\r\nX: y"],
)  # fmt: skip
def test_a_login_leads_to_no_other_server(app: Flask, address: str) -> None:
    assert Browser(app).sign_in(next=address).headers["Location"] == "/products"


def test_a_wrong_login_is_told_and_keeps_the_name(app: Flask) -> None:
    answer = Browser(app).sign_in(name="<b>", password="unmistakable")
    assert answer.status_code == 401
    assert "no son correctos" in answer.text
    assert 'value="&lt;b&gt;"' in answer.text
    assert "unmistakable" not in answer.text


def test_too_many_logins_are_told(app: Flask) -> None:
    browser = Browser(app)
    for _ in range(TRIES):
        assert browser.sign_in(password="x").status_code == 401
    answer = browser.sign_in()
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert "Demasiados intentos" in answer.text


@pytest.mark.parametrize(("scheme", "secure"), [("http", False), ("https", True)])
def test_the_cookie_is_for_the_browser_and_its_pages_alone(
    app: Flask, scheme: str, secure: bool
) -> None:
    client = app.test_client()
    headers = {"X-Forwarded-Proto": scheme}
    token = token_of(client.get("/login", headers=headers).text)
    fields = {"username": "admin", "password": ADMIN_PASSWORD, "csrf_token": token}
    cookie = cookie_of(client.post("/login", data=fields, headers=headers))
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert ("Secure" in cookie) is secure
    assert cookie.startswith("__Host-session=" if secure else "session=")


def test_a_logout_ends_the_session(browser: Browser) -> None:
    cookie = browser.client.get_cookie("session")
    assert cookie
    assert browser.send("/products", "/logout").status_code == 303
    assert browser.get("/users").status_code == 303
    # A copy of the cookie, made before, is worth nothing.
    copy = browser.client.application.test_client()
    copy.set_cookie("session", cookie.value)
    assert copy.get("/users").status_code == 303
    assert browser.client.get("/logout").status_code == 405


def test_a_forged_or_foreign_cookie_is_no_session(app: Flask, browser: Browser) -> None:
    cookie = browser.client.get_cookie("session")
    assert cookie
    # The first character of the signature: of the last one some bits count for nothing.
    content, _, signature = cookie.value.rpartition(".")
    forged = f"{content}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
    for value in (forged, "eyJ1c2VyIjoxfQ.x.y", "", "x" * 4000):
        other = app.test_client()
        other.set_cookie("session", value)
        assert other.get("/users").status_code == 303


def test_a_changed_password_ends_every_other_session(app: Flask, browser: Browser) -> None:
    other = Browser(app)
    other.sign_in()
    fields = {"current": ADMIN_PASSWORD, "password": "another horse"}
    changed = browser.send("/profile", "/profile/password", **fields)
    assert changed.status_code == 303
    assert browser.get("/users").status_code == 200
    assert other.get("/users").status_code == 303
    assert Browser(app).sign_in().status_code == 401
    assert Browser(app).sign_in(password="another horse").status_code == 303


def test_a_deleted_account_has_no_session(app: Flask, admin: Send) -> None:
    user = {"name": "A", "email": "a@example.com", "username": "ana", "password": "correct horse"}
    path = admin("POST", "/api/users", json=user).headers["Location"]
    browser = Browser(app)
    browser.sign_in("ana", "correct horse")
    assert browser.get("/profile").status_code == 200
    admin("DELETE", path)
    assert browser.get("/profile").status_code == 303


def test_the_api_takes_a_session_with_its_token(browser: Browser) -> None:
    client = browser.client
    assert client.get("/api/users").status_code == 200
    refused = client.post("/api/products", json=PRODUCT)
    assert refused.status_code == 403
    assert json_of(refused)["status"] == 403
    page = browser.get("/products").text
    token = token_of(page)
    assert f'<meta name="csrf-token" content="{token}">' in page
    headers = {"X-CSRFToken": token}
    made = client.post("/api/products", json=PRODUCT, headers=headers)
    assert made.status_code == 201
    assert client.delete(made.headers["Location"]).status_code == 403
    assert client.delete(made.headers["Location"], headers=headers).status_code == 204


def test_a_wrong_basic_is_not_healed_by_a_session(browser: Browser) -> None:
    headers = basic("admin", "wrong")
    assert browser.client.get("/api/users", headers=headers).status_code == 401


def test_another_sessions_token_does_not_fit(app: Flask, browser: Browser) -> None:
    other = Browser(app)
    other.sign_in()
    foreign = {"X-CSRFToken": token_of(other.get("/profile").text)}
    answer = browser.client.post("/api/products", json=PRODUCT, headers=foreign)
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/users/new",
        "/products/new",
        "/edit/1",
        "/delete/1",
        "/edit_product/1",
        "/login",
        "/logout",
        "/profile/password",
        "/profile/tokens",
        "/profile/sign-out-everywhere",
    ],
)
def test_no_form_is_taken_without_its_token(browser: Browser, path: str) -> None:
    for token in ({}, {"csrf_token": ""}, {"csrf_token": "x"}):
        answer = browser.client.post(path, data={"name": "x", "price": "1", **token})
        assert answer.status_code == 403
        assert "caducado" in answer.text
    assert json_of(browser.client.get("/api/products"))["total"] == 0


@pytest.mark.parametrize("path", ["/users/new", "/edit/1", "/delete/1", "/edit_product/1"])
def test_the_pages_of_changes_need_a_login(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/login?next=/")
    assert client.post(path).headers["Location"] == "/login"


def test_a_stranger_adds_no_product(client: FlaskClient) -> None:
    token = token_of(client.get("/login").text)
    answer = client.post("/products/new", data={**PRODUCT, "csrf_token": token})
    assert answer.status_code == 303
    assert (client.get("/api/products").json or {})["total"] == 0


def test_what_a_client_says_about_the_way_counts_for_nothing(client: FlaskClient) -> None:
    """Beyond the one proxy that is there."""
    headers = {
        "X-Forwarded-Prefix": "/evil",
        "X-Forwarded-Port": "666",
        "X-Original-Url": "/api/users",
        "X-Rewrite-Url": "/api/users",
        "X-Http-Method-Override": "DELETE",
        "Forwarded": "for=127.0.0.1;host=evil.example",
    }
    answer = client.get("/users", headers=headers)
    assert answer.headers["Location"] == "/login?next=/users"
    assert "evil" not in client.get("/products", headers=headers).text
