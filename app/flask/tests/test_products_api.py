"""/api/products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

TEA = {"name": "Té verde", "description": "Hojas\nenteras", "price": "12.50", "stock": 3}
Send = Callable[..., Any]


def test_a_product_is_created_read_replaced_and_deleted(admin: Send) -> None:
    created = admin("POST", "/api/products", json=TEA)
    assert created.status_code == 201
    path = created.headers["Location"]
    assert {name: created.json[name] for name in TEA} == TEA
    assert created.json["created_at"].endswith("Z")

    any_version = {"If-Match": "*"}
    less = {**TEA, "stock": 0}
    assert admin("PUT", path, json=less, headers=any_version).json["stock"] == 0
    # The same once more: nothing changes, and it is found all the same.
    again = admin("PUT", path, json=less, headers=any_version)
    assert (again.status_code, again.json["version"]) == (200, 2)
    patched = admin("PATCH", path, json={"price": 13})
    assert (patched.json["price"], patched.json["name"]) == ("13.00", TEA["name"])
    assert admin("PATCH", path, json={}).json["price"] == "13.00"
    assert admin("PATCH", path, json={"stock": -1}).status_code == 422
    assert admin("DELETE", path).status_code == 204
    assert admin("GET", path).status_code == 404


def test_reading_is_free_and_changing_is_not(client: FlaskClient, admin: Send) -> None:
    path = admin("POST", "/api/products", json=TEA).headers["Location"]
    assert client.get(path).status_code == 200
    page = client.get("/api/products").json
    assert page is not None
    assert page["total"] == 1
    changes = (("POST", "/api/products"), ("PUT", path), ("PATCH", path), ("DELETE", path))
    for method, where in changes:
        assert client.open(where, method=method, json=TEA).status_code == 401
    assert client.get(path).status_code == 200


def test_description_and_stock_may_be_left_out(admin: Send) -> None:
    product = admin("POST", "/api/products", json={"name": "Pan", "price": "1"}).json
    assert (product["description"], product["price"], product["stock"]) == ("", "1.00", 0)


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ('"0"', "0.00"),
        ('"99999999.99"', "99999999.99"),
        ("0.1", "0.10"),
        ("19.99", "19.99"),
        ("1e2", "100.00"),
        ("7", "7.00"),
        ("-0.0", "0.00"),
    ],
)
def test_a_price_is_exact(admin: Send, sent: str, stored: str) -> None:
    answer = admin(
        "POST",
        "/api/products",
        data=f'{{"name": "x", "price": {sent}}}',
        content_type="application/json",
    )
    assert answer.status_code == 201
    assert answer.json["price"] == stored


@pytest.mark.parametrize(
    "price",
    ["-1", '"-1"', "100000000", '"12,50"', "0.001", "0.00001", '"1.005"', "1e400", '"1e2"',
     '"NaN"', "{}", "[1]", '"1\\n"', "true", "null", '" 1"', "1e999999", '"\u0661"', "9" * 300],
)  # fmt: skip
def test_a_wrong_price_is_refused(admin: Send, price: str) -> None:
    answer = admin(
        "POST",
        "/api/products",
        data=f'{{"name": "x", "price": {price}}}',
        content_type="application/json",
    )
    assert answer.status_code == 422
    assert list(answer.json["errors"]) == ["price"]


@pytest.mark.parametrize("stock", [-1, 1_000_000_001, 2**70, 1.5, 1e300, "3", True, None, [], {}])
def test_a_wrong_stock_is_refused(admin: Send, stock: object) -> None:
    answer = admin("POST", "/api/products", json={**TEA, "stock": stock})
    assert answer.status_code == 422
    assert list(answer.json["errors"]) == ["stock"]


def test_a_whole_number_may_have_a_point(admin: Send) -> None:
    assert admin("POST", "/api/products", json={**TEA, "stock": 3.0}).json["stock"] == 3


SEARCHED = [("Té verde", "5", 3), ("Té negro", "4.50", 10), ("Café 100%", "3", 0), ("a_b", "9", 1)]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["Té verde", "Té negro", "Café 100%", "a_b"]),
        ("q=té", ["Té verde", "Té negro"]),
        # Letters count without their accents.
        ("q=te", ["Té verde", "Té negro"]),
        ("q=100%25", ["Café 100%"]),
        ("q=%25", ["Café 100%"]),
        ("q=_", ["a_b"]),
        ("q=nothing", []),
        ("q=%27+OR+1%3D1+--+", []),
        ("q=%00", []),
        ("sort=price", ["Café 100%", "Té negro", "Té verde", "a_b"]),
        ("sort=-price", ["a_b", "Té verde", "Té negro", "Café 100%"]),
        ("sort=name&per_page=2", ["a_b", "Café 100%"]),
        ("sort=name&per_page=2&page=2", ["Té negro", "Té verde"]),
        ("page=3&per_page=2", []),
    ],
)
def test_the_list_is_searched_sorted_and_cut(admin: Send, query: str, names: list[str]) -> None:
    for name, price, stock in SEARCHED:
        admin("POST", "/api/products", json={"name": name, "price": price, "stock": stock})
    assert [row["name"] for row in admin("GET", f"/api/products?{query}").json["items"]] == names


def test_the_list_says_how_long_it_is(admin: Send) -> None:
    for name, price, stock in SEARCHED:
        admin("POST", "/api/products", json={"name": name, "price": price, "stock": stock})
    page = admin("GET", "/api/products?per_page=3&page=2").json
    assert {name: page[name] for name in ("total", "page", "per_page", "pages")} == {
        "total": 4, "page": 2, "per_page": 3, "pages": 2,
    }  # fmt: skip
    assert admin("GET", "/api/products?q=te&per_page=3").json["total"] == 2


def test_the_list_links_to_its_neighbours(admin: Send, client: FlaskClient) -> None:
    for name, price, stock in SEARCHED:
        admin("POST", "/api/products", json={"name": name, "price": price, "stock": stock})
    assert "Link" not in client.get("/api/products").headers
    link = client.get("/api/products?sort=-name&per_page=1&page=2").headers["Link"]
    base = "/api/products?sort=-name&per_page=1&page="
    assert link == ", ".join(
        f'<{base}{page}>; rel="{name}"'
        for name, page in (("first", 1), ("prev", 1), ("next", 3), ("last", 4))
    )
    last = client.get("/api/products?per_page=2&page=9").headers["Link"]
    assert 'page=2>; rel="prev"' in last
    assert "next" not in last
