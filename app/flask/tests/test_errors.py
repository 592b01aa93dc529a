"""Errors: JSON for programs, pages for people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.conftest import Browser
from webapp import create_app
from webapp.config import Settings

Send = Callable[..., Any]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '"text"',
        '{"price": NaN}',
        '{"price": Infinity}',
        '{"name": "x", "name": "y", "price": 1}',
        '{"price": ' + "9" * 5000 + "}",
        "[" * 30_000,
        "\xff".encode("latin-1"),
        b'{"name": "\xc3"}',
    ],
)
def test_a_body_that_is_no_json_object_is_refused(admin: Send, content: str | bytes) -> None:
    answer = admin("POST", "/api/products", data=content, content_type="application/json")
    assert answer.status_code == 400
    assert set(answer.json) == {"type", "title", "status", "detail", "errors"}
    assert answer.mimetype == "application/problem+json"


def test_another_content_type_is_refused(admin: Send) -> None:
    for content in ({"name": "x", "price": "1"}, '{"name": "x", "price": "1"}'):
        answer = admin("POST", "/api/products", data=content)
        assert answer.status_code == 415
        assert answer.json["status"] == 415


def test_too_large_a_body_is_refused(admin: Send) -> None:
    for size in (70_000, 10_000_000):
        answer = admin("POST", "/api/products", json={"name": "x" * size})
        assert answer.status_code == 413
        assert answer.json["status"] == 413


@pytest.mark.parametrize(
    "path",
    [
        "/api/products/1",
        "/api/products/x",
        "/api/products/-1",
        "/api/products/9223372036854775808",
        f"/api/products/{'9' * 5000}",
        "/api/products/1%00",
        "/api/products/%D9%A1",
        "/api/nothing",
    ],
)
def test_what_does_not_exist_is_404_in_json(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.json is not None
    assert answer.json["status"] == 404


def test_a_method_that_does_not_exist_is_405(client: FlaskClient) -> None:
    answer = client.delete("/api/products")
    assert answer.status_code == 405
    assert answer.json is not None
    assert "POST" in answer.headers["Allow"]


def test_people_get_a_page(client: FlaskClient) -> None:
    answer = client.get("/nothing")
    assert answer.status_code == 404
    assert answer.mimetype == "text/html"
    assert "No existe" in answer.text


@pytest.mark.parametrize(
    "path",
    ["/static/../config.py", "/static/%2e%2e/config.py", "/static/..%2fconfig.py",
     "/static/%252e%252e/config.py", "/static//etc/passwd", "/static/%00"],
)  # fmt: skip
def test_nothing_but_the_static_files_is_served(client: FlaskClient, path: str) -> None:
    assert client.get(path, follow_redirects=True).status_code == 404


def test_a_bug_shows_nothing_of_itself(settings: Settings) -> None:
    app = create_app(settings)

    @app.get("/api/bug")
    def bug() -> str:
        raise RuntimeError("a secret detail")

    answer = app.test_client().get("/api/bug")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.json is not None
    assert answer.json["status"] == 500


def test_each_answer_has_the_number_of_its_request(client: FlaskClient) -> None:
    given = client.get("/products", headers={"X-Request-Id": "Zk@abc-12345"})
    assert given.headers["X-Request-Id"] == "Zk@abc-12345"
    forged = client.get("/products", headers={"X-Request-Id": "two words\tand more"})
    assert forged.headers["X-Request-Id"].isalnum()


def test_what_is_no_json_is_told_where(admin: Send) -> None:
    answer = admin("POST", "/api/products", data='{"name": "x",}', content_type="application/json")
    assert answer.status_code == 400
    assert "line 1 column 1" in answer.json["detail"]


@pytest.mark.parametrize(
    ("query", "wrong"),
    [("pages=2", "pages"), ("q=a&q=b", "q"), ("sort=", "sort"), ("x[]=1&page=1", "x[]")],
)
def test_a_parameter_that_means_nothing_is_refused(
    client: FlaskClient, query: str, wrong: str
) -> None:
    answer = client.get(f"/api/products?{query}")
    assert answer.status_code == 422
    assert list((answer.json or {})["errors"]) == [wrong]


def test_a_parameter_of_one_row_means_nothing(client: FlaskClient) -> None:
    assert client.get("/api/products/1?page=1").status_code == 422


def test_a_page_of_an_error_knows_who_is_signed_in(browser: Browser) -> None:
    page = browser.get("/nothing")
    assert page.status_code == 404
    assert "Cerrar sesión" in page.text
    assert "Iniciar sesión" not in page.text
