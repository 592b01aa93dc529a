"""The pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask.testing import FlaskClient

Send = Callable[..., Any]
EVE = {
    "name": "<script>alert(1)</script>",
    "email": "eve@example.com",
    "username": "eve",
    "password": "correct horse",
}


def test_the_first_page_shows_names_and_usernames_alone(client: FlaskClient, admin: Send) -> None:
    assert "No hay usuarios" in client.get("/").text
    admin("POST", "/api/users", json=EVE)
    page = client.get("/").text
    assert "&lt;script&gt;alert(1)" in page
    assert "<script" not in page
    assert "eve</td>" in page
    assert "example.com" not in page


def test_the_products_have_price_and_stock(client: FlaskClient, admin: Send) -> None:
    admin("POST", "/api/products", json={"name": "Té", "price": "12.5", "stock": 4})
    page = client.get("/products").text
    assert "12,50 €" in page
    assert ">4</td>" in page


def test_a_long_list_comes_in_pages(client: FlaskClient, admin: Send) -> None:
    for number in range(3):
        admin("POST", "/api/products", json={"name": f"P{number}", "price": "1"})
    first = client.get("/products?limit=2").text
    assert "1\u20132 de 3" in first
    assert "offset=2" in first
    assert "Anteriores" not in first
    second = client.get("/products?limit=2&offset=2").text
    assert "3\u20133 de 3" in second
    assert "Siguientes" not in second


def test_the_pages_need_nothing_from_elsewhere(client: FlaskClient) -> None:
    page = client.get("/").text
    assert "http" not in page.replace("http-equiv", "")
    for address in ("style.css", "icon.svg"):
        assert f"/static/{address}?v=0123456789ab" in page
        asset = client.get(f"/static/{address}")
        assert asset.status_code == 200
        assert asset.cache_control.max_age == 365 * 24 * 3600
