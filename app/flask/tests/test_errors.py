"""Errors: JSON for programs, pages for people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

Send = Callable[..., Any]


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '"text"', '{"price": NaN}', "[" * 30_000, "\xff".encode("latin-1")],
)
def test_a_body_that_is_no_json_object_is_refused(admin: Send, content: str | bytes) -> None:
    answer = admin("POST", "/api/products", data=content, content_type="application/json")
    assert answer.status_code == 400
    assert set(answer.json) == {"status", "message", "errors"}


def test_another_content_type_is_refused(admin: Send) -> None:
    answer = admin("POST", "/api/products", data={"name": "x", "price": "1"})
    assert answer.status_code == 415
    assert answer.json["status"] == 415


def test_too_large_a_body_is_refused(admin: Send) -> None:
    answer = admin("POST", "/api/products", json={"name": "x" * 70_000})
    assert answer.status_code == 413
    assert answer.json["status"] == 413


@pytest.mark.parametrize(
    "path", ["/api/products/1", "/api/products/x", f"/api/products/{'9' * 5000}", "/api/nothing"]
)
def test_what_does_not_exist_is_404_in_json(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.json is not None
    assert answer.json["status"] == 404


def test_a_method_that_does_not_exist_is_405(client: FlaskClient) -> None:
    answer = client.patch("/api/products")
    assert answer.status_code == 405
    assert answer.json is not None
    assert "POST" in answer.headers["Allow"]


def test_people_get_a_page(client: FlaskClient) -> None:
    answer = client.get("/nothing")
    assert answer.status_code == 404
    assert answer.mimetype == "text/html"
    assert "No existe" in answer.text


def test_a_bug_shows_nothing_of_itself(app: Flask) -> None:
    @app.get("/api/bug")
    def bug() -> str:
        raise RuntimeError("a secret detail")

    answer = app.test_client().get("/api/bug")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.json is not None
    assert answer.json["status"] == 500


def test_each_answer_has_the_number_of_its_request(client: FlaskClient) -> None:
    given = client.get("/products", headers={"X-Request-Id": "abc-12345"})
    assert given.headers["X-Request-Id"] == "abc-12345"
    forged = client.get("/products", headers={"X-Request-Id": "two words\tand more"})
    assert forged.headers["X-Request-Id"].isalnum()
