"""The pages, as somebody with a browser and no JavaScript uses them."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape, unescape
from html.parser import HTMLParser
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.conftest import Browser, json_of

Send = Callable[..., Any]
EVE = {
    "name": "<script>alert(1)</script>",
    "email": "eve@example.com",
    "username": "eve",
    "role": "viewer",
    "password": "correct horse",
}
TEA = {"name": "Té verde", "description": "Hojas\r\nenteras", "price": "12,50", "stock": "3"}


class Outline(HTMLParser):
    """What of a page matters to assistive technology."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.labelled: set[str] = set()
        self.named: list[dict[str, str | None]] = []
        self.referred: set[str] = set()
        self.tags: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        if found.get("id"):
            self.ids.append(found["id"] or "")
        if tag == "label":
            self.labelled.add(found.get("for") or "")
        if tag in {"input", "textarea", "select"} and found.get("type") != "hidden":
            self.named.append(found)
        for name in ("aria-describedby", "aria-labelledby"):
            self.referred |= set((found.get(name) or "").split())


def first_id(client: FlaskClient, name: str) -> int:
    number: int = json_of(client.get(f"/api/{name}?sort=-id"))["items"][0]["id"]
    return number


def test_a_user_is_added_edited_and_deleted(browser: Browser) -> None:
    added = browser.send("/users/new", **EVE)
    assert (added.status_code, added.headers["Location"]) == (303, "/users")
    page = browser.get("/users").text
    assert "Se ha añadido «&lt;script&gt;alert(1)&lt;/script&gt;»." in page
    assert "<script" not in page
    assert "Se ha añadido" not in browser.get("/users").text
    number = first_id(browser.client, "users")
    assert f'href="/edit/{number}"' in page

    form = browser.get(f"/edit/{number}").text
    assert 'value="eve@example.com"' in form
    assert "correct horse" not in form
    assert "argon2" not in form
    changed = browser.send(
        f"/edit/{number}", name="Eva", email="eva@example.com", username="eva", role="viewer"
    )
    assert changed.status_code == 303
    assert "eva@example.com" in browser.get("/users").text
    # Its password is still the one of before.
    assert Browser(browser.client.application).sign_in("eva", "correct horse").status_code == 303

    question = browser.get(f"/delete/{number}").text
    assert "¿Eliminar «Eva»?" in question
    assert "eva@example.com" in browser.get("/users").text
    assert browser.send(f"/delete/{number}").status_code == 303
    assert "eva@example.com" not in browser.get("/users").text
    assert browser.get(f"/edit/{number}").status_code == 404


def test_a_product_is_added_edited_and_deleted(browser: Browser) -> None:
    assert browser.send("/products/new", **TEA).headers["Location"] == "/products"
    page = browser.get("/products").text
    assert "12,50\xa0€" in page
    assert ">3</td>" in page
    number = first_id(browser.client, "products")
    assert json_of(browser.client.get(f"/api/products/{number}"))["description"] == "Hojas\nenteras"
    form = browser.get(f"/edit_product/{number}").text
    assert "Hojas\nenteras</textarea>" in form
    assert 'value="12,50"' in form
    fields = {**TEA, "price": "0.5", "description": "", "stock": "0"}
    assert browser.send(f"/edit_product/{number}", **fields).status_code == 303
    assert "0,50\xa0€" in browser.get("/products").text
    assert browser.send(f"/delete_product/{number}").status_code == 303
    assert "No hay productos" in browser.get("/products").text


def test_everybody_reads_products_and_nobody_else_is_offered_changes(
    client: FlaskClient, browser: Browser
) -> None:
    browser.send("/products/new", **TEA)
    page = client.get("/products").text
    assert "Té verde" in page
    assert "Iniciar sesión" in page
    for word in ("Editar", "Eliminar", "Añadir", "csrf"):
        assert word not in page


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("name", "", "debe tener de 1 a 100 caracteres"),
        ("price", "1,005", "debe ser un importe como 12,50"),
        ("price", "1.2.3", "debe ser un importe"),
        ("price", "", "debe ser un importe"),
        ("price", "1e400", "debe ser un importe"),
        ("stock", "-1", "debe ser un número entero"),
        ("stock", "9999999999", "debe estar entre 0 y 1000000000"),
        ("stock", "", "debe ser un número entero"),
        ("description", "x" * 1001, "debe tener de 0 a 1000 caracteres"),
    ],
)
def test_a_wrong_field_is_told_beside_it_and_all_that_was_typed_stays(
    browser: Browser, field: str, value: str, words: str
) -> None:
    browser.send("/products/new", **TEA)
    number = first_id(browser.client, "products")
    typed = {**TEA, "name": '"><b>typed', field: value}
    for path in ("/products/new", f"/edit_product/{number}"):
        answer = browser.send(path, **typed)
        assert answer.status_code == 422
        assert re.search(rf'id="{field}-error">[^<]*{re.escape(words)}', answer.text)
        assert re.search(rf'name="{field}"[^>]*aria-invalid="true"', answer.text)
        if field != "name":
            assert 'value="&#34;&gt;&lt;b&gt;typed"' in answer.text
        assert 'role="alert"' in answer.text
        Outline(answer.text)
    assert json_of(browser.client.get("/api/products"))["total"] == 1


def test_a_name_that_is_taken_is_told(browser: Browser) -> None:
    browser.send("/users/new", **EVE)
    answer = browser.send("/users/new", **{**EVE, "email": "other@example.com"})
    assert answer.status_code == 422
    assert 'id="username-error">Ya hay uno' in answer.text
    assert "correct horse" not in answer.text


def test_a_password_is_needed_for_a_new_user(browser: Browser) -> None:
    answer = browser.send("/users/new", **{**EVE, "password": ""})
    assert answer.status_code == 422
    assert 'id="password-error">falta' in answer.text


def test_the_account_in_use_is_not_deleted(browser: Browser) -> None:
    me = first_id(browser.client, "users")
    answer = browser.send(f"/delete/{me}")
    assert answer.status_code == 409
    assert "No es posible" in answer.text
    assert browser.get("/users").status_code == 200


def test_a_long_list_comes_in_pages_and_is_searched_and_sorted(
    browser: Browser, admin: Send
) -> None:
    for number in range(30):
        admin("POST", "/api/products", json={"name": f"P{number:02}", "price": str(number)})
    first = browser.get("/products").text
    assert "Página 1 de 2" in first
    assert 'rel="next" href="/products?page=2"' in first
    assert "Anterior" not in first
    assert "P24" in first
    assert "P25" not in first
    second = browser.get("/products?page=2&sort=-price").text
    assert "P04" in second
    assert "P05" not in second
    assert "Siguiente" not in second
    assert 'aria-sort="descending"' in second
    assert 'href="/products?sort=price"' in second
    found = browser.get("/products?q=p2&sort=-price").text
    assert "P29" in found
    assert "P19" not in found
    assert 'name="q" maxlength="100" value="p2"' in found
    assert 'href="/products?sort=-price"' in found
    # A search that had more pages before ends on the last one.
    beyond = browser.get("/products?page=9&sort=-price")
    assert (beyond.status_code, beyond.headers["Location"]) == (303, "/products?sort=-price&page=2")


@pytest.mark.parametrize("query", ["page=0", "page=x", "per_page=1000", "sort=password"])
def test_an_address_with_a_wrong_value_is_422(client: FlaskClient, query: str) -> None:
    answer = client.get(f"/products?{query}")
    assert answer.status_code == 422
    assert "Dirección incorrecta" in answer.text


def test_what_is_searched_is_shown_as_text(client: FlaskClient) -> None:
    page = client.get("/products?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&sort=name").text
    assert "<script" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize(
    ("asked", "language", "title"),
    [
        ("es", "es", "Productos"),
        ("en", "en", "Products"),
        ("en-GB,en;q=0.9,es;q=0.8", "en", "Products"),
        ("es-MX", "es", "Productos"),
        ("fr", "es", "Productos"),
        ("", "es", "Productos"),
        ("*", "es", "Productos"),
        ("%%%;q=x,\xff", "es", "Productos"),
    ],
)
def test_the_page_speaks_the_browsers_language(
    client: FlaskClient, asked: str, language: str, title: str
) -> None:
    answer = client.get("/products", headers={"Accept-Language": asked})
    assert f'<html lang="{language}">' in answer.text
    assert f"<h1>{title}</h1>" in answer.text
    assert answer.headers["Content-Language"] == language
    assert "Accept-Language" in answer.headers["Vary"]


def test_english_has_its_own_amounts(app: Flask) -> None:
    browser = Browser(app, "en")
    browser.sign_in()
    browser.send("/products/new", **TEA)
    assert "€12.50" in browser.get("/products").text


@pytest.mark.parametrize("path", ["/users", "/products", "/users/new", "/products/new", "/changes",
                                  "/products/import",
                                  "/profile", "/edit/{user}", "/delete/{user}",
                                  "/edit_product/{product}", "/delete_product/{product}",
                                  "/api/docs"])  # fmt: skip
@pytest.mark.parametrize("language", ["es", "en"])
def test_every_page_is_sound(app: Flask, path: str, language: str) -> None:
    browser = Browser(app, language)
    browser.sign_in()
    browser.send("/products/new", **TEA)
    user = first_id(browser.client, "users")
    product = first_id(browser.client, "products")
    answer = browser.get(path.format(user=user, product=product))
    assert answer.status_code == 200
    page = Outline(answer.text)
    assert len(page.ids) == len(set(page.ids))
    assert page.referred <= set(page.ids)
    assert {field.get("id") for field in page.named} <= page.labelled
    assert page.tags.count("h1") == 1
    assert "main" in page.tags
    assert not {"script", "iframe", "style"} & set(page.tags)
    # Neither style= nor on…=, which the Content-Security-Policy forbids, nor another server.
    assert not re.search(r"<[^>]*\s(style|on[a-z]+)=", answer.text)
    assert not re.search(r"""(href|src|action)=["']?(https?:)?//""", answer.text)
    assert "no-store" in answer.headers["Cache-Control"]


def test_the_pages_need_nothing_from_elsewhere(client: FlaskClient) -> None:
    page = client.get("/products").text
    for address in ("style.css", "icon.svg"):
        assert f"/static/{address}?v=0123456789ab" in page
        asset = client.get(f"/static/{address}")
        assert asset.status_code == 200
        assert asset.cache_control.max_age == 365 * 24 * 3600


def test_one_cannot_get_at_the_pages_with_odd_methods(client: FlaskClient) -> None:
    for method in ("PUT", "PATCH", "DELETE", "PROPFIND", "X" * 100):
        answer = client.open("/products", method=method)
        assert answer.status_code == 405
        assert answer.mimetype == "text/html"


def test_the_root_leads_to_the_products(client: FlaskClient) -> None:
    answer = client.get("/")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/products")


def test_an_edit_comes_back_to_the_list_as_it_was(browser: Browser, admin: Send) -> None:
    for number in range(30):
        admin("POST", "/api/products", json={"name": f"P{number:02}", "price": str(number)})
    there = "/products?q=P&sort=-price&page=2"
    page = browser.get(there).text
    edit = re.search(r'href="(/edit_product/[^"]+)"', page)
    new = re.search(r'href="(/products/new[^"]+)"', page)
    delete = re.search(r'href="(/delete_product/[^"]+)"', page)
    assert edit
    assert new
    assert delete
    for link in (edit, new, delete):
        form = browser.get(unescape(link[1])).text
        assert f'href="{escape(there)}"' in form
    fields = {**TEA, "name": "P again"}
    for link in (edit, new, delete):
        assert browser.send(unescape(link[1]), **fields).headers["Location"] == there
    # Nothing but the list's own parameters, and never another page.
    odd = "/products/new?list=//evil.example%26x=1%26q=a"
    assert browser.send(odd, **fields).headers["Location"] == "/products?q=a"


def test_the_first_wrong_field_has_the_focus(browser: Browser) -> None:
    answer = browser.send("/products/new", **{**TEA, "price": "x", "stock": "x"})
    assert answer.text.count("autofocus") == 1
    assert re.search(r'id="price"[^>]*autofocus', answer.text)
    assert "autofocus" not in browser.get("/products/new").text


def test_a_second_click_adds_nothing(browser: Browser) -> None:
    key = {"key": "0123456789abcdef"}
    for _ in range(2):
        assert browser.send("/products/new", **TEA, **key).status_code == 303
    assert json_of(browser.client.get("/api/products"))["total"] == 1
    # Something else from the same page is something else.
    browser.send("/products/new", **{**TEA, "name": "Té negro"}, **key)
    browser.send("/products/new", **TEA)
    assert json_of(browser.client.get("/api/products"))["total"] == 3


@pytest.mark.parametrize(
    ("language", "typed", "stored"),
    [("es", "1.234,50", "1234.50"), ("es", "1234,5", "1234.50"), ("es", "12.50", "12.50"),
     ("es", "1.234", "1234.00"), ("en", "1,234.50", "1234.50"), ("en", "12.50", "12.50"),
     ("en", "12,50", "12.50")],
)  # fmt: skip
def test_an_amount_is_typed_as_it_is_shown(
    app: Flask, language: str, typed: str, stored: str
) -> None:
    browser = Browser(app, language)
    browser.sign_in()
    assert browser.send("/products/new", **{**TEA, "price": typed}).status_code == 303
    assert json_of(browser.client.get("/api/products"))["items"][0]["price"] == stored


def test_the_own_row_offers_no_end(browser: Browser) -> None:
    me = first_id(browser.client, "users")
    assert f"/delete/{me}" not in browser.get("/users").text
    browser.send("/users/new", **EVE)
    assert f"/delete/{first_id(browser.client, 'users')}" in browser.get("/users").text


def test_people_choose_their_language(client: FlaskClient) -> None:
    spanish = client.get("/products?q=a", headers={"Accept-Language": "es"}).text
    assert 'href="/language/en?next=/products?q%3Da"' in spanish
    chosen = client.get("/language/en?next=/products?q%3Da")
    assert (chosen.status_code, chosen.headers["Location"]) == (303, "/products?q=a")
    assert "Secure" not in chosen.headers["Set-Cookie"]
    english = client.get("/products", headers={"Accept-Language": "es"})
    assert '<html lang="en">' in english.text
    assert "Cookie" in english.headers["Vary"]
    assert client.get("/language/fr").status_code == 404
    assert client.get("/language/es?next=//evil").headers["Location"] == "/products"
