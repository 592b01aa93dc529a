"""/healthz: whether the application can do its work now."""

from __future__ import annotations

from flask import Blueprint, current_app, jsonify
from flask.typing import ResponseReturnValue

from webapp import db

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> ResponseReturnValue:
    """Prove a round trip to MySQL. 200, or 503 from the handler of DatabaseUnavailableError."""
    db.row("SELECT 1")
    response = jsonify(
        status="ok", database="ok", release=current_app.extensions["settings"].release
    )
    response.cache_control.no_store = True
    return response
