"""Lists of 10,000 rows."""

from __future__ import annotations

import time

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.dialects import mysql

from tests.conftest import json_of
from webapp import db, listing
from webapp.listing import Query

ROWS = 10_000
# Seconds for a page; some hundredths on any machine, where nothing reads all rows for each.
PATIENCE = 0.5


@pytest.fixture
def many(app: Flask) -> Flask:
    """The application with 10,000 products."""
    rows = [
        {"name": f"Product {n * 7919 % ROWS:05}", "price": n % 500, "stock": n % 97}
        for n in range(ROWS)
    ]
    with app.app_context(), db.session() as session:
        session.execute(
            text("INSERT INTO products (name, price, stock) VALUES (:name, :price, :stock)"), rows
        )
    with app.app_context(), db.session() as session:
        session.execute(text("SELECT 1"))
    return app


@pytest.mark.parametrize(
    "query",
    ["", "page=100", "sort=name", "sort=-price&page=100", "sort=stock", "q=0123", "q=no+such"],
)
def test_a_page_comes_at_once(many: Flask, query: str) -> None:
    client: FlaskClient = many.test_client()
    client.get("/api/products")
    began = time.perf_counter()
    answer = json_of(client.get(f"/api/products?per_page=100&{query}"))
    seconds = time.perf_counter() - began
    print(f"{query or 'first page'}: {seconds * 1000:.0f} ms")
    assert answer["total"] == (ROWS if "q=" not in query else len(answer["items"]))
    assert seconds < PATIENCE


@pytest.mark.parametrize("sort", ["id", "-id", "name", "-name", "price", "-price", "stock"])
def test_a_sorted_page_is_read_from_an_index(many: Flask, sort: str) -> None:
    with many.app_context(), db.session() as session:
        statement = listing.products.statement(Query(sort=sort, per_page=25))
        compiled = statement.compile(
            dialect=mysql.dialect(), compile_kwargs={"literal_binds": True}
        )
        plan = session.execute(text(f"EXPLAIN FORMAT=TRADITIONAL {compiled}")).mappings().one()
    assert plan["key"] == {"id": "PRIMARY"}.get(
        sort.removeprefix("-"), f"products_{sort.removeprefix('-')}"
    )
    assert "filesort" not in (plan["Extra"] or "")
    assert plan["rows"] <= 25
