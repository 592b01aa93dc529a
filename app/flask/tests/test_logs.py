"""Logs: JSON, a line each, with the request's number and no secret."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import ADMIN_PASSWORD
from webapp import create_app, logs
from webapp.config import Settings

Send = Callable[..., Any]


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_change_is_told_with_who_and_the_requests_number(
    admin: Send, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.to_stderr()
    product = {"name": "Té", "description": "line\nbreak", "price": "1"}
    answer = admin("POST", "/api/products", json=product, headers={"X-Request-Id": "Zk@abc-123"})
    (line,) = lines(capsys)
    assert line["message"] == f"product {answer.json['id']}"
    assert (line["action"], line["level"], line["request_id"]) == ("add", "INFO", "Zk@abc-123")
    assert (line["method"], line["path"]) == ("POST", "/api/products")
    assert isinstance(line["user"], int)


def test_a_bug_is_one_line_with_its_traceback(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    app = create_app(settings)

    @app.get("/api/bug")
    def bug() -> str:
        raise RuntimeError("on purpose")

    app.test_client().get("/api/bug")
    (line,) = lines(capsys)
    assert line["level"] == "ERROR"
    assert "RuntimeError: on purpose" in line["exception"]


def test_no_password_is_logged(admin: Send, capsys: pytest.CaptureFixture[str]) -> None:
    logs.to_stderr()
    user = {"name": "x", "email": "x@example.com", "username": "xyz", "password": "unmistakable"}
    admin("POST", "/api/users", json=user)
    admin("POST", "/api/users", json=user)
    admin("POST", "/api/users", json={**user, "password": ["unmistakable"]})
    logged = capsys.readouterr().err
    assert "unmistakable" not in logged
    assert ADMIN_PASSWORD not in logged
