"""The description of the API, and the API against it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import load_all_checks
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from tests.conftest import ADMIN_PASSWORD, Browser, basic
from webapp import idempotency
from webapp.api.openapi import document
from webapp.store import WEAK

# Cases for each operation, half of them wrong on purpose.
EXAMPLES = 40

# What no schema can say: it knows no decimals of binary fractions, no good passwords, and not what
# was sent before.
BEYOND_SCHEMAS = {
    ("price", "must have at most two decimals"),
    ("password", WEAK),
    (idempotency.HEADER, idempotency.OTHER_BODY),
}

load_all_checks()
DOCUMENT = document("0123456789ab")
DESCRIBED = schemathesis.openapi.from_dict(
    DOCUMENT,
    config=SchemathesisConfig.from_dict(
        {
            "seed": 1,
            "generation": {"deterministic": True},
            # RFC 6585: what a missing If-Match is answered with.
            "checks": {"missing_required_header": {"expected-statuses": [428]}},
        }
    ),
)


def test_it_is_served_to_programs(client: FlaskClient) -> None:
    answer = client.get("/api/openapi.json")
    assert answer.status_code == 200
    # Not answer.json, for which 0.01 is a Decimal.
    assert json.loads(answer.text) == DOCUMENT
    assert DOCUMENT["openapi"] == "3.1.0"


def test_it_describes_every_route_of_the_api_and_no_other(app: Flask) -> None:
    described = {
        (path, method.upper())
        for path, operations in DOCUMENT["paths"].items()
        for method in operations
        if method != "parameters"
    }
    routed = {
        (rule.rule.replace("<id:row_id>", "{id}"), method)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith("/api/") and not rule.endpoint.startswith("openapi.")
    }
    assert described == routed


def test_the_readme_compares_routes_that_are_there(lonely_app: Flask) -> None:
    """Each route of the table of the document's application and this one."""
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    table = readme.partition("## The document's application and this one")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    named = {word for row in rows for word in re.findall(r"`(?:[A-Z]+ )?(/[^`]*)`", row)}
    routed: dict[str, set[str]] = {}
    for rule in lonely_app.url_map.iter_rules():
        path = re.sub(r"<id:\w+>", "<id>", rule.rule)
        routed.setdefault(path, set()).update(rule.methods or ())
    assert len(named) > 12
    # Answered before Flask looks at its routes.
    assert named - set(routed) == {"/healthz"}
    assert lonely_app.test_client().get("/healthz").status_code == 200
    # The document's own, all of which a reader looks for here.
    documents = {"/", "/edit/<id>", "/delete/<id>", "/products", "/edit_product/<id>"}
    assert documents | {"/delete_product/<id>", "/api/users", "/api/products"} <= named
    for method in ("PUT", "PATCH", "DELETE"):
        assert any(f"`{method} …/<id>`" in row for row in rows)
        assert method in routed["/api/users/<id>"] | routed["/api/products/<id>"]


def test_every_reference_leads_somewhere() -> None:
    def references(part: Any) -> list[str]:
        if isinstance(part, dict):
            own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
            return own + [r for value in part.values() for r in references(value)]
        if isinstance(part, list):
            return [r for value in part for r in references(value)]
        return []

    found = references(DOCUMENT)
    assert found
    for reference in found:
        place: Any = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


def test_no_password_is_described_as_shown() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert "password" not in schemas["User"]["properties"]
    assert schemas["NewUser"]["properties"]["password"]["writeOnly"] is True
    assert "password" not in schemas["WholeUser"]["required"]
    assert "password" in schemas["NewUser"]["required"]


def test_what_waits_says_how_long_and_prices_have_no_binary_step() -> None:
    for status, answer in DOCUMENT["components"]["responses"].items():
        assert ("Retry-After" in answer.get("headers", {})) is (status in {"429", "503"})
        assert list(answer["content"]) == ["application/problem+json"]
    # 1.1 is no multiple of 0.01 to a validator that computes with doubles.
    assert "multipleOf" not in json.dumps(DOCUMENT)


def test_people_read_it_without_a_script(client: FlaskClient) -> None:
    page = client.get("/api/docs").text
    for words in ("/api/users/{id}", "PATCH", "NewProduct", "X-CSRFToken"):
        assert words in page
    assert "<script" not in page


def test_people_read_it_signed_in_too(browser: Browser) -> None:
    assert "Cerrar sesión" in browser.get("/api/docs").text


@pytest.fixture
def serving(app: Flask) -> None:
    """Send the cases to the application."""
    DESCRIBED.app = app


@pytest.mark.usefixtures("serving")
@DESCRIBED.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_the_api_does_as_it_is_described(case: Any) -> None:
    """Status, content type and body of every answer are described, and none is a fault."""
    response = case.call(app=DESCRIBED.app, headers=basic("admin", ADMIN_PASSWORD))
    # What is refused without an account is tested beside this: here each request has one.
    excluded = [ignored_auth]
    if response.status_code == 422 and set(response.json()["errors"].items()) <= BEYOND_SCHEMAS:
        excluded.append(positive_data_acceptance)
    case.validate_response(response, excluded_checks=excluded)
    assert response.status_code < 500
    assert ADMIN_PASSWORD not in response.text
    assert "argon2" not in response.text
