"""Lists as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.conftest import Browser, json_of, token_of
from webapp import exchange

Send = Callable[..., Any]
PATH = "/products/import"


def upload(browser: Browser, content: str | bytes) -> Any:
    """Send a file."""
    data = content.encode() if isinstance(content, str) else content
    fields = {
        "csrf_token": token_of(browser.get(PATH).text),
        "file": (io.BytesIO(data), "products.csv"),
    }
    return browser.client.post(PATH, data=fields, headers=browser.headers)


def rows(answer: Any) -> list[dict[str, str]]:
    """The lines of an export."""
    return list(csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"))))


def products(browser: Browser) -> list[dict[str, Any]]:
    """All products, by the API."""
    found: list[dict[str, Any]] = json_of(browser.client.get("/api/products"))["items"]
    return found


def test_all_products_leave_as_they_are_searched(
    browser: Browser, admin: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "BATCH", 2)
    for number in range(5):
        admin("POST", "/api/products", json={"name": f"Té {number}", "price": "1234.5"})
    answer = browser.get("/products/export")
    assert answer.content_type == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="products-')
    found = rows(answer)
    assert [row["name"] for row in found] == [f"Té {number}" for number in range(5)]
    assert found[0]["price"] == "1234.50"
    assert [row["name"] for row in rows(browser.get("/products/export?q=3"))] == ["Té 3"]


def test_accounts_leave_without_their_passwords(browser: Browser) -> None:
    answer = browser.get("/users/export")
    assert [row["username"] for row in rows(answer)] == ["admin"]
    assert "password" not in answer.text
    assert "argon2" not in answer.text


def test_exports_are_for_those_who_are_signed_in(client: FlaskClient) -> None:
    for path in ("/products/export", "/users/export", PATH):
        assert client.get(path).status_code == 303


def test_few_exports_at_a_time(browser: Browser) -> None:
    """Each holds a thread for as long as its reader takes."""
    for _ in range(exchange.AT_ONCE):
        assert exchange._turns.acquire(blocking=False)
    try:
        answer = browser.get("/products/export")
        assert answer.status_code == 429
        assert answer.headers["Retry-After"]
    finally:
        for _ in range(exchange.AT_ONCE):
            exchange._turns.release()
    for _ in range(exchange.AT_ONCE + 1):
        assert browser.get("/products/export").status_code == 200


@pytest.mark.parametrize("name", ["=1+1", "+34", "-x", "@sum", "'=1", "'quoted'"])
def test_a_spreadsheet_computes_nothing_and_what_leaves_comes_back(
    browser: Browser, admin: Send, name: str
) -> None:
    admin("POST", "/api/products", json={"name": name, "price": "1", "description": 'a;"b"\nc'})
    exported = browser.get("/products/export").text
    (row,) = rows(browser.get("/products/export"))
    assert row["name"][0] not in "=+-@"
    preview = upload(browser, exported)
    assert preview.status_code == 200
    done = browser.send(PATH, content=exported.removeprefix("\ufeff"), key="k")
    assert done.status_code == 303
    assert "añadidos: 0; cambiados: 0" in browser.get("/products").text
    assert [(p["name"], p["version"]) for p in products(browser)] == [(name, 1)]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_file_is_shown_first_and_then_imported_once(
    browser: Browser, admin: Send, separator: str
) -> None:
    made = admin("POST", "/api/products", json={"name": "old", "price": "1"}).json
    lines = [
        ["id", "name", "price", "stock"],
        ["", "Té nuevo", '"1.234,50"', "3"],
        [str(made["id"]), "changed", "2.50", "4"],
    ]
    content = "\r\n".join(separator.join(line) for line in lines) + "\r\n"
    preview = upload(browser, content)
    assert preview.status_code == 200
    assert "1.234,50\xa0€" in preview.text
    assert f"cambia {made['id']}" in preview.text
    assert len(products(browser)) == 1
    for _ in range(2):
        assert browser.send(PATH, content=content, key="k").status_code == 303
    found = products(browser)
    assert [(p["name"], p["price"], p["stock"]) for p in found] == [
        ("changed", "2.50", 4), ("Té nuevo", "1234.50", 3),
    ]  # fmt: skip
    changes = admin("GET", "/api/audit").json
    assert changes["total"] == 3


def test_with_a_wrong_line_nothing_is_imported(browser: Browser, admin: Send) -> None:
    made = admin("POST", "/api/products", json={"name": "old", "price": "1"}).json
    content = (
        "id,version,name,price,stock\n"
        ",,good,1,1\n"
        ",,<b>bad</b>,x,1\n"
        "999999,,gone,1,1\n"
        f"{made['id']},7,stale,1,1\n"
    )
    for answer in (upload(browser, content), browser.send(PATH, content=content)):
        assert answer.status_code == 422
        assert "No se ha importado nada" in answer.text
        assert "&lt;b&gt;bad&lt;/b&gt;" in answer.text
        for words in ("price: debe ser un importe", "id: no existe", "version: Otra persona"):
            assert words in answer.text
    assert [p["name"] for p in products(browser)] == ["old"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "La primera línea"),
        ("name,price\n", "no tiene líneas"),
        ("name,cost\nx,1\n", "La primera línea"),
        ("name,price,name\nx,1,y\n", "La primera línea"),
        ("name,price\nx,1,2\n", "La línea 2"),
        ("name,price\nx\n", "La línea 2"),
        ('name,price\n"x"y,1\n', "no es CSV"),
        ("name,price\n" + "x,1\n" * 1001, "más de 1000"),
        (b"name,price\n\xff,1\n", "UTF-8"),
        (b"\x00\x01\x02", "La primera línea"),
    ],
)
def test_what_cannot_be_imported_is_told(
    browser: Browser, content: str | bytes, words: str
) -> None:
    answer = upload(browser, content)
    assert answer.status_code == 422
    assert words in answer.text


def test_without_a_file_it_is_asked_for(browser: Browser) -> None:
    assert browser.send(PATH).status_code == 422
