"""The page of the own account: password, tokens, sessions."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from flask import Flask
from sqlalchemy import text

from tests.conftest import ADMIN_PASSWORD, Browser, json_of
from webapp import db
from webapp.accounts import TRIES

Send = Callable[..., Any]


def change(browser: Browser, current: str, new: str) -> Any:
    fields = {"current": current, "password": new}
    return browser.send("/profile", "/profile/password", **fields)


def test_a_password_is_changed_by_who_knows_the_one_of_now(app: Flask, browser: Browser) -> None:
    wrong = change(browser, "wrong", "another horse")
    assert wrong.status_code == 422
    assert 'id="current-error">Esta no es su contraseña.' in wrong.text
    assert "another horse" not in wrong.text
    assert change(browser, ADMIN_PASSWORD, "another horse").status_code == 303
    assert "Se ha cambiado su contraseña" in browser.get("/profile").text
    assert Browser(app).sign_in().status_code == 401
    assert Browser(app).sign_in(password="another horse").status_code == 303


def test_guesses_of_the_password_of_now_run_out(browser: Browser) -> None:
    for _ in range(TRIES):
        assert change(browser, "wrong", "another horse").status_code == 422
    assert change(browser, ADMIN_PASSWORD, "another horse").status_code == 429


def test_a_weak_password_is_refused(browser: Browser) -> None:
    for weak in ("password", "        ", "admin@webapp.invalid", "Administrator", "qwertyuiop"):
        answer = change(browser, ADMIN_PASSWORD, weak)
        assert answer.status_code == 422
        assert "demasiado fácil de adivinar" in answer.text


def test_the_own_password_is_changed_nowhere_else(app: Flask, browser: Browser) -> None:
    me = json_of(browser.client.get("/api/users?q=admin"))["items"][0]["id"]
    assert 'name="password"' not in browser.get(f"/edit/{me}").text
    fields = {"name": "A", "email": "a@b.example", "username": "admin", "role": "admin"}
    browser.send(f"/edit/{me}", **fields, password="another horse")
    token = re.search(r'csrf-token" content="([^"]+)"', browser.get("/profile").text)
    assert token
    for path, method in ((f"/api/users/{me}", "PATCH"), (f"/api/users/{me}", "PUT")):
        headers = {"X-CSRFToken": token[1], "If-Match": "*"}
        body = {**fields, "password": "another horse"}
        answer = browser.client.open(path, method=method, json=body, headers=headers)
        assert answer.status_code == 422
        assert list(json_of(answer)["errors"]) == ["password"]
    assert Browser(app).sign_in().status_code == 303


def test_a_token_signs_in_until_it_is_taken_back(app: Flask, browser: Browser) -> None:
    made = browser.send("/profile", "/profile/tokens", name="Backup <b>")
    assert made.headers["Cache-Control"] == "no-store"
    found = re.search(r"webapp_[A-Za-z0-9_-]{43}", made.text)
    assert found
    headers = {"Authorization": f"Bearer {found[0]}"}
    client = app.test_client()
    assert client.get("/api/users", headers=headers).status_code == 200
    product = {"name": "Té", "price": "1"}
    assert client.post("/api/products", json=product, headers=headers).status_code == 201
    page = browser.get("/profile").text
    assert found[0] not in page
    assert "Backup &lt;b&gt;" in page
    with app.app_context(), db.session() as session:
        stored = session.execute(text("SELECT name, digest FROM tokens")).one()
    assert found[0].encode() not in bytes(stored.digest)
    action = re.search(r'action="(/profile/tokens/\d+/delete)"', page)
    assert action
    assert browser.send("/profile", action[1]).status_code == 303
    assert client.get("/api/users", headers=headers).status_code == 401
    for wrong in ("Bearer", "Bearer ", "Bearer webapp_x", "bearer \xff", "Bearer " + "x" * 5000):
        answer = client.get("/api/users", headers={"Authorization": wrong})
        assert answer.status_code == 401


def test_nobody_takes_somebody_elses_token_back(app: Flask, browser: Browser, admin: Send) -> None:
    ana = {"name": "A", "email": "a@b.example", "username": "ana", "password": "correct horse"}
    admin("POST", "/api/users", json=ana)
    browser.send("/profile", "/profile/tokens", name="mine")
    action = re.search(r'action="(/profile/tokens/\d+/delete)"', browser.get("/profile").text)
    assert action
    other = Browser(app)
    other.sign_in("ana", "correct horse")
    assert other.send("/profile", action[1]).status_code == 404
    assert "mine" in browser.get("/profile").text


def test_a_session_ends_on_the_server_everywhere(app: Flask, browser: Browser) -> None:
    other = Browser(app)
    other.sign_in()
    assert browser.send("/profile", "/profile/sign-out-everywhere").status_code == 303
    assert "Se han cerrado todas sus sesiones" in browser.get("/products").text
    assert browser.get("/profile").status_code == 303
    assert other.get("/profile").status_code == 303


def test_a_session_does_not_last_for_ever_however_busy(app: Flask, browser: Browser) -> None:
    assert browser.get("/profile").status_code == 200
    with app.app_context(), db.session() as session:
        hours = text("SELECT TIMESTAMPDIFF(HOUR, created_at, expires_at) FROM sessions")
        assert session.scalar(hours) == 12
        session.execute(text("UPDATE sessions SET expires_at = CURRENT_TIMESTAMP"))
    assert browser.get("/profile").status_code == 303
    # The next login takes what is over away.
    browser.sign_in()
    with app.app_context(), db.session() as session:
        assert session.scalar(text("SELECT COUNT(*) FROM sessions")) == 1
