"""Logs on standard error: a JSON object a line, with the request's number, as in Apache's log."""

from __future__ import annotations

import json
import logging
import re
import sys
import uuid
from datetime import UTC, datetime

from flask import Flask, Response, g, has_request_context, request

REQUEST_ID = re.compile(r"[A-Za-z0-9._@-]{8,64}")
# What a logging call may add with extra={...}.
EXTRA = ("address", "user", "action")


class JsonFormatter(logging.Formatter):
    """One JSON object a record. Line breaks in what users send stay inside their string."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if has_request_context():
            line["request_id"] = g.get("request_id", "-")
            line["method"] = request.method
            line["path"] = request.path
        for name in EXTRA:
            if hasattr(record, name):
                line[name] = getattr(record, name)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def logger(name: str) -> logging.Logger:
    """Return a logger below `webapp`, whose lines to_stderr() sends on."""
    return logging.getLogger(name)


def request_id(given: str) -> str:
    """Return the request's number: the given one where it is one, else a new one."""
    return given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def to_stderr() -> None:
    """Send what `webapp` and its modules log to standard error."""
    root = logging.getLogger("webapp")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root.handlers[:] = [handler]
    root.propagate = False
    root.setLevel(logging.INFO)


def init_app(app: Flask) -> None:
    """Number the requests and send the log to standard error."""
    to_stderr()

    @app.before_request
    def number() -> None:
        # Apache gives the number, and takes none from its clients.
        g.request_id = request_id(request.headers.get("X-Request-Id", ""))

    @app.after_request
    def tell(response: Response) -> Response:
        response.headers["X-Request-Id"] = g.get("request_id", "-")
        return response
