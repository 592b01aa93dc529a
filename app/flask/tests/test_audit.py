"""Who changed what."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from tests.conftest import Browser
from webapp import db

Send = Callable[..., Any]


def test_each_change_is_listed_with_who_and_the_values_before_and_after(admin: Send) -> None:
    path = admin("POST", "/api/products", json={"name": "Té", "price": "1"}).headers["Location"]
    admin("PATCH", path, json={"price": "2.50", "name": "Té"})
    admin("PATCH", path, json={"price": "2.5"})
    admin("PATCH", path, json={"price": "x"})
    admin("DELETE", path)
    found = admin("GET", "/api/audit").json
    assert found["total"] == 3
    deleted, changed, added = found["items"]
    assert (added["action"], added["old_values"]) == ("add", {})
    assert added["new_values"] == {"name": "Té", "price": "1.00"}
    assert (changed["old_values"], changed["new_values"]) == ({"price": "1.00"}, {"price": "2.50"})
    assert (changed["username"], changed["kind"], changed["name"]) == ("admin", "product", "Té")
    assert (deleted["action"], deleted["old_values"]["price"]) == ("delete", "2.50")


def test_no_password_is_in_it_and_it_outlives_the_account(admin: Send) -> None:
    user = {"name": "A", "email": "a@b.example", "username": "ana", "password": "correct horse"}
    path = admin("POST", "/api/users", json=user).headers["Location"]
    admin("PATCH", path, json={"password": "another horse"})
    admin("DELETE", path)
    found = admin("GET", "/api/audit?q=A")
    assert found.json["total"] == 3
    assert "horse" not in found.text
    assert "argon2" not in found.text
    assert found.json["items"][1]["new_values"] == {"password": "…"}


def test_a_change_that_fails_leaves_no_line(admin: Send) -> None:
    user = {"name": "A", "email": "a@b.example", "username": "ana", "password": "correct horse"}
    admin("POST", "/api/users", json=user)
    assert admin("POST", "/api/users", json=user).status_code == 409
    assert admin("GET", "/api/audit").json["total"] == 1


def test_people_read_it(app: Flask, browser: Browser, admin: Send) -> None:
    path = admin("POST", "/api/products", json={"name": "<b>", "price": "1"}).headers["Location"]
    admin("PATCH", path, json={"price": "2"})
    page = browser.get("/changes").text
    assert "<del>1.00</del>" in page
    assert "<ins>2.00</ins>" in page
    assert "&lt;b&gt;" in page
    assert "cambiado" in page
    assert "Nothing" not in browser.get("/changes?q=no+such").text
    assert app


@pytest.mark.parametrize(("days", "left"), [(365, 2), (0, 3)])
def test_what_is_too_old_goes(app: Flask, admin: Send, days: int, left: int) -> None:
    """With the next change, once an hour."""
    for name in ("old", "young"):
        admin("POST", "/api/products", json={"name": name, "price": "1"})
    with app.app_context(), db.session() as session:
        session.execute(
            text("UPDATE audit SET created_at = created_at - INTERVAL 366 DAY WHERE name = 'old'")
        )
    settings = app.extensions["settings"]
    app.extensions["settings"] = dataclasses.replace(settings, audit_days=days)
    app.extensions.pop("audit_prune_at", None)
    try:
        admin("POST", "/api/products", json={"name": "new", "price": "1"})
    finally:
        app.extensions["settings"] = settings
    assert admin("GET", "/api/audit").json["total"] == left
