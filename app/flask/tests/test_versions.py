"""Nobody overwrites what they have not seen."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.conftest import ADMIN_PASSWORD, Browser, basic, json_of

Send = Callable[..., Any]
TEA = {"name": "Té verde", "description": "Hojas", "price": "12.50", "stock": 0}


@pytest.fixture
def path(admin: Send) -> str:
    """The path of a product."""
    location: str = admin("POST", "/api/products", json=TEA).headers["Location"]
    return location


def test_a_row_has_a_version_that_each_change_raises(admin: Send, path: str) -> None:
    assert admin("GET", path).headers["ETag"] == '"1"'
    changed = admin("PATCH", path, json={"stock": 1})
    assert (changed.headers["ETag"], changed.json["version"]) == ('"2"', 2)
    # What changes nothing is no change.
    assert admin("PATCH", path, json={"stock": 1}).headers["ETag"] == '"2"'
    assert admin("GET", "/api/products").json["items"][0]["version"] == 2


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_another_version_is_not_overwritten(admin: Send, path: str, method: str) -> None:
    admin("PATCH", path, json={"stock": 5})
    for stale in ('"1"', '"1", "7"', 'W/"2"', "x"):
        answer = admin(method, path, json=TEA, headers={"If-Match": stale})
        assert answer.status_code == 412, stale
        assert answer.headers["ETag"] == '"2"'
    assert admin("GET", path).json["stock"] == 5
    seen = admin(method, path, json=TEA, headers={"If-Match": '"1", "2"'})
    assert seen.status_code in {200, 204}


def test_put_says_what_it_replaces(admin: Send, path: str) -> None:
    assert admin("PUT", path, json=TEA).status_code == 428
    assert admin("PUT", path, json=TEA, headers={"If-Match": "*"}).status_code == 200
    missing = admin("PUT", "/api/products/1", json=TEA, headers={"If-Match": "*"})
    assert missing.status_code == 404


def test_what_is_known_is_not_sent_again(client: FlaskClient, path: str) -> None:
    known = client.get(path, headers={"If-None-Match": '"1"'})
    assert (known.status_code, known.data, known.headers["ETag"]) == (304, b"", '"1"')
    assert client.get(path, headers={"If-None-Match": '"2"'}).status_code == 200


def test_twenty_who_read_and_change_at_once_all_count(app: Flask, path: str) -> None:
    """A stock that each raises by one, as often as it takes."""
    login = basic("admin", ADMIN_PASSWORD)

    def raise_stock(_: int) -> None:
        client = app.test_client()
        for _attempt in range(200):
            seen = client.get(path)
            headers = {**login, "If-Match": seen.headers["ETag"]}
            body = {"stock": json_of(seen)["stock"] + 1}
            status = client.patch(path, json=body, headers=headers).status_code
            if status == 200:
                return
            assert status == 412
        raise AssertionError("never the turn")

    # Its password is known before twenty ask for it to be looked at.
    app.test_client().get("/api/users", headers=login)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(raise_stock, range(20)))
    assert json_of(app.test_client().get(path))["stock"] == 20


def test_a_stale_form_shows_both_values_and_then_may_overwrite(
    app: Flask, browser: Browser, admin: Send, path: str
) -> None:
    number = path.rpartition("/")[2]
    page = f"/edit_product/{number}"
    mine = browser.get(page).text
    admin("PATCH", path, json={"stock": 7, "price": "13.00"})
    typed = {"name": "Té verde", "description": "Hojas", "price": "14,00", "stock": "0"}
    # As a form that was opened before: with the version of then.
    assert 'name="version" value="1"' in mine
    conflict = browser.send(page, version="1", **typed)
    assert conflict.status_code == 409
    assert 'role="alert"' in conflict.text
    assert 'value="14,00"' in conflict.text
    assert "<q>13,00</q>" in conflict.text
    assert "<q>7</q>" in conflict.text
    # What nobody has changed has no second value.
    assert "name-now" not in conflict.text
    assert 'name="version" value="2"' in conflict.text
    assert json_of(browser.client.get(path))["price"] == "13.00"
    assert browser.send(page, version="2", **typed).status_code == 303
    assert json_of(browser.client.get(path))["price"] == "14.00"
    assert app


def test_a_row_that_has_changed_is_asked_about_again_before_it_goes(
    browser: Browser, admin: Send, path: str
) -> None:
    page = f"/delete_product/{path.rpartition('/')[2]}"
    admin("PATCH", path, json={"name": "Té blanco"})
    answer = browser.send(page, version="1")
    assert answer.status_code == 409
    assert "Té blanco" in answer.text
    assert browser.send(page).status_code == 303
