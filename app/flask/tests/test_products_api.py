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

    assert admin("PUT", path, json={**TEA, "stock": 0}).json["stock"] == 0
    # The same once more: nothing changes, and it is found all the same.
    assert admin("PUT", path, json={**TEA, "stock": 0}).status_code == 200
    assert admin("DELETE", path).status_code == 204
    assert admin("GET", path).status_code == 404


def test_reading_is_free_and_changing_is_not(client: FlaskClient, admin: Send) -> None:
    path = admin("POST", "/api/products", json=TEA).headers["Location"]
    assert client.get(path).status_code == 200
    page = client.get("/api/products").json
    assert page is not None
    assert page["total"] == 1
    for method, where in (("POST", "/api/products"), ("PUT", path), ("DELETE", path)):
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
    ["-1", '"-1"', "100000000", '"12,50"', "0.001", '"1.005"', "true", "null", '" 1"', "1e999999",
     '"\u0661"', "9" * 300],
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


@pytest.mark.parametrize("stock", [-1, 1_000_000_001, 1.5, "3", True, None])
def test_a_wrong_stock_is_refused(admin: Send, stock: object) -> None:
    answer = admin("POST", "/api/products", json={**TEA, "stock": stock})
    assert answer.status_code == 422
    assert list(answer.json["errors"]) == ["stock"]
