"""/metrics, as Prometheus reads it."""

from __future__ import annotations

from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import Browser


def samples(client: FlaskClient) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """All samples, by name and labels."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.content_type.startswith("text/plain; version=")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def count(client: FlaskClient, route: str, method: str, status: str) -> float:
    labels = (("method", method), ("route", route), ("status", status))
    return samples(client).get(("http_requests_total", labels), 0)


def test_a_request_is_counted_under_its_route(client: FlaskClient) -> None:
    before = count(client, "/api/products/<id:row_id>", "GET", "404")
    for number in range(3):
        client.get(f"/api/products/{number + 1}")
    assert count(client, "/api/products/<id:row_id>", "GET", "404") == before + 3


def test_what_has_no_route_is_one_series(client: FlaskClient) -> None:
    before = count(client, "unmatched", "GET", "404")
    series = len(samples(client))
    for number in range(5):
        client.get(f"/no/such/page/{number}")
        client.open("/", method=f"WORD{number}")
    assert count(client, "unmatched", "GET", "404") == before + 5
    assert count(client, "unmatched", "other", "405") >= 5
    assert len(samples(client)) <= series + 30


def test_times_are_measured(client: FlaskClient) -> None:
    client.get("/products")
    found = samples(client)
    route = ("route", "/products")
    number = found[("http_request_duration_seconds_count", (route,))]
    assert number >= 1
    assert found[("http_request_duration_seconds_sum", (route,))] > 0
    assert found[("http_request_duration_seconds_bucket", (("le", "+Inf"), route))] == number


def test_the_pool_and_the_requests_of_now_are_told(app: Flask, client: FlaskClient) -> None:
    with app.extensions["engine"].connect():
        found = samples(client)
    assert found[("db_pool_in_use", ())] == 1
    assert found[("db_pool_size", ())] == 8
    # The one that asks.
    assert found[("http_requests_in_flight", ())] == 1


def test_a_bug_is_counted_and_not_in_flight_for_ever(lonely_app: Flask) -> None:
    client = lonely_app.test_client()
    client.get("/readyz")
    found = samples(client)
    labels = (("method", "GET"), ("route", "/readyz"), ("status", "503"))
    assert found[("http_requests_total", labels)] == 1
    assert found[("http_requests_in_flight", ())] == 1


def test_nobody_reads_them_through_apache(client: FlaskClient, browser: Browser) -> None:
    headers = {"X-Forwarded-For": "203.0.113.1"}
    for somebody in (client, browser.client):
        answer = somebody.get("/metrics", headers=headers)
        assert answer.status_code == 404
        assert "db_pool" not in answer.text
