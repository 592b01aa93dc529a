"""/healthz and /readyz, and what happens without a database."""

from __future__ import annotations

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from tests.conftest import Server


def test_readyz_proves_the_database(client: FlaskClient) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json == {"status": "ok", "database": "ok", "release": "0123456789ab"}
    assert "no-store" in answer.headers["Cache-Control"]


def test_healthz_is_about_the_process_alone(lonely_app: Flask) -> None:
    answer = lonely_app.test_client().get("/healthz")
    assert answer.status_code == 200
    assert answer.json == {"status": "ok", "release": "dev"}


def test_without_a_database_programs_and_people_get_503(lonely_app: Flask) -> None:
    client = lonely_app.test_client()
    for path in ("/readyz", "/api/products"):
        answer = client.get(path)
        assert answer.status_code == 503
        assert answer.json == {
            "type": "about:blank",
            "title": "Service Unavailable",
            "status": 503,
            "detail": "The database does not answer.",
            "errors": {},
        }
        assert answer.headers["Retry-After"]
    page = client.get("/products")
    assert page.status_code == 503
    assert "Volvemos enseguida" in page.text


def test_without_tables_it_is_not_ready(client: FlaskClient, owner: Engine) -> None:
    with owner.begin() as connection:
        connection.execute(text("RENAME TABLE alembic_version TO away, products TO away2"))
    try:
        assert client.get("/readyz").status_code == 503
        assert client.get("/api/products").status_code == 503
        assert client.get("/healthz").status_code == 200
    finally:
        with owner.begin() as connection:
            connection.execute(text("RENAME TABLE away TO alembic_version, away2 TO products"))
    assert client.get("/readyz").status_code == 200


def test_a_restart_of_mysql_is_survived(client: FlaskClient, mysql_server: Server) -> None:
    assert client.get("/readyz").status_code == 200
    mysql_server.restart()
    assert [client.get("/readyz").status_code for _ in range(20)] == [200] * 20
