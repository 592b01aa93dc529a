"""/healthz: the process answers. /readyz: the application can do its work now."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, jsonify
from sqlalchemy import text

from webapp import db

blueprint = Blueprint("health", __name__)


def _answer(**more: str) -> Response:
    response = jsonify(status="ok", **more, release=current_app.extensions["settings"].release)
    response.cache_control.no_store = True
    return response


@blueprint.get("/healthz")
def healthz() -> Response:
    """Say that the process answers; MySQL is not asked."""
    return _answer()


@blueprint.get("/readyz")
def readyz() -> Response:
    """Prove a round trip to MySQL, and that its tables were made.

    200, or 503 from the handler of DatabaseUnavailableError.
    """
    with db.session() as session:
        session.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    return _answer(database="ok")
