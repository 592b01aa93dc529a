"""Whatever is sent, nothing is answered with a fault of the server."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.conftest import ADMIN_PASSWORD, basic

Send = Callable[..., Any]
# As many bodies for each address.
EXAMPLES = 80
LOOK = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
# Any character, halves of surrogate pairs too; any number that JSON can write.
TEXT = st.text(st.characters(), max_size=20)
DIGITS = st.from_regex(
    r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,25})?", fullmatch=True
)
NAMES = st.sampled_from(
    ["name", "email", "username", "password", "role", "description", "price", "stock", "id"]
)


class Number:
    """A number as it is written, which no type of Python need hold."""

    def __init__(self, digits: str) -> None:
        self.digits = digits


VALUES: Any = st.recursive(
    st.none() | st.booleans() | DIGITS.map(Number) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
BODIES = st.dictionaries(NAMES | TEXT, VALUES, max_size=6)


def written(value: Any) -> str:
    """The value as JSON; ASCII, so that half a surrogate pair gets through."""
    if isinstance(value, Number):
        return value.digits
    if isinstance(value, dict):
        pairs = ",".join(f"{json.dumps(name)}:{written(one)}" for name, one in value.items())
        return f"{{{pairs}}}"
    if isinstance(value, list):
        return f"[{','.join(map(written, value))}]"
    return json.dumps(value)


ADDRESSES = pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/api/users"), ("POST", "/api/products"), ("PUT", "/api/products/{id}"),
     ("PATCH", "/api/products/{id}"), ("PATCH", "/api/users/{id}")],
)  # fmt: skip


@pytest.fixture
def product(admin: Send) -> int:
    """The id of a product; there is no user with it."""
    number: int = admin("POST", "/api/products", json={"name": "x", "price": "1"}).json["id"]
    return number


def send(app: Flask, product: int, method: str, path: str, content: bytes) -> int:
    """Send a body; the status."""
    headers = {**basic("admin", ADMIN_PASSWORD), "If-Match": "*"}
    where = path.format(id=product)
    answer = app.test_client().open(
        where, method=method, data=content, headers=headers, content_type="application/json"
    )
    assert answer.status_code < 500, content
    return int(answer.status_code)


@ADDRESSES
@pytest.mark.parametrize(
    "content",
    ['{"\\ud800": 1}', '{"name": {"\\udfff": 1}}', '{"price": 1e99999999999999999999}',
     '{"stock": -1e99999999999999999999}', '{"stock": 1e-99999999999999999999}',
     '{"stock": 1e999999}', '{"price": 1e-999999}'],
)  # fmt: skip
def test_known_tricks_are_refused(
    app: Flask, product: int, method: str, path: str, content: str
) -> None:
    assert 400 <= send(app, product, method, path, content.encode()) < 500


@ADDRESSES
@LOOK
@given(body=BODIES)
def test_any_json_object_is_taken_or_refused(
    app: Flask, product: int, method: str, path: str, body: dict[str, Any]
) -> None:
    send(app, product, method, path, written(body).encode())


@ADDRESSES
@LOOK
@given(content=st.binary(max_size=200) | VALUES.map(written).map(str.encode))
def test_any_bytes_are_taken_or_refused(
    app: Flask, product: int, method: str, path: str, content: bytes
) -> None:
    send(app, product, method, path, content)


@LOOK
@given(query=st.dictionaries(st.sampled_from(["q", "page", "sort", "per_page"]) | TEXT, TEXT))
def test_any_query_is_taken_or_refused(app: Flask, query: dict[str, str]) -> None:
    sent = {k.encode(errors="replace"): v.encode(errors="replace") for k, v in query.items()}
    for path in ("/api/products", "/products"):
        assert app.test_client().get(path, query_string=sent).status_code < 500
