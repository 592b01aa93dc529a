"""/healthz: the process answers. /readyz: the application can do its work now."""

from __future__ import annotations

import json
from collections.abc import Iterable

from flask import Blueprint, Flask, Response, current_app, jsonify
from sqlalchemy import text

from webapp import db, logs
from webapp.metrics import ROUTE, Environment, Start, Wsgi

blueprint = Blueprint("health", __name__)


class Alive:
    """Answers /healthz before Flask does: whoever looks often costs a sixth of what Flask takes.

    That the process answers is all it says; MySQL is not asked.
    """

    def __init__(self, application: Wsgi, release: str) -> None:
        """Make the answer.

        Args:
            application: what answers everything else.
            release: of the application.
        """
        self._application = application
        self._body = json.dumps({"status": "ok", "release": release}).encode() + b"\n"
        self._headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(self._body))),
            ("Cache-Control", "no-store"),
        ]

    def __call__(self, environ: Environment, start_response: Start) -> Iterable[bytes]:
        """Answer."""
        method = environ["REQUEST_METHOD"]
        if environ["PATH_INFO"] != "/healthz" or method not in {"GET", "HEAD"}:
            return self._application(environ, start_response)
        environ[ROUTE] = "/healthz"
        number = logs.request_id(environ.get("HTTP_X_REQUEST_ID", ""))
        start_response("200 OK", [*self._headers, ("X-Request-Id", number)])
        return [b"" if method == "HEAD" else self._body]


def init_app(app: Flask) -> None:
    """Put /healthz before the application."""
    release = app.extensions["settings"].release
    # Flask's documented way to wrap an application, which its type hints take for a method.
    app.wsgi_app = Alive(app.wsgi_app, release)  # type: ignore[method-assign]


@blueprint.get("/readyz")
def readyz() -> Response:
    """Prove a round trip to MySQL, that its tables were made, and that it takes changes.

    200, or 503 from the handler of DatabaseUnavailableError.
    """
    query = text("SELECT @@GLOBAL.read_only FROM alembic_version")
    with db.reading() as connection:
        read_only = connection.execute(query).scalar_one()
    faults: db.Faults = current_app.extensions["faults"]
    if reason := db.READ_ONLY if read_only else faults.reason():
        raise db.DatabaseUnavailableError("not ready", reason)
    settings = current_app.extensions["settings"]
    response = jsonify(status="ok", database="ok", release=settings.release)
    response.cache_control.no_store = True
    return response
