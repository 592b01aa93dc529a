"""Lists of 10,000 rows."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.dialects import mysql

from tests.conftest import json_of
from webapp import db, listing
from webapp.listing import Query

ROWS = 10_000


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
    # What the optimiser goes by is computed in the background, some seconds after so many rows.
    with app.app_context(), db.session() as session:
        session.execute(text("ANALYZE TABLE products"))
    return app


@pytest.mark.parametrize(
    "query",
    ["", "page=100", "sort=name", "sort=-price&page=100", "sort=stock", "q=0123", "q=no+such"],
)
def test_a_page_knows_how_many_there_are(many: Flask, query: str) -> None:
    client: FlaskClient = many.test_client()
    answer = json_of(client.get(f"/api/products?per_page=100&{query}"))
    assert answer["total"] == (ROWS if "q=" not in query else len(answer["items"]))
    assert len(answer["items"]) == min(100, answer["total"])


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
