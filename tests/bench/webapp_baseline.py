"""The application as a first version is often served, for the bench to compare with.

Flask answers everything, and each request opens a connection to MySQL of its own. gunicorn's sync
workers serve it inside the application's container, where this file is mounted.
"""

from __future__ import annotations

from flask import Flask, Response, jsonify
from sqlalchemy import NullPool, create_engine
from werkzeug.middleware.proxy_fix import ProxyFix

from webapp import create_app

app = create_app()
for name in ("engine", "changing_engine"):
    app.extensions[name] = create_engine(app.extensions[name].url, poolclass=NullPool)
# Without what stands before Flask: metrics, and the quick answer to /healthz.
flask = Flask.wsgi_app.__get__(app)
# Flask's documented way to wrap an application, which its type hints take for a method.
app.wsgi_app = ProxyFix(flask, x_for=1, x_proto=1, x_host=1)  # type: ignore[method-assign]


@app.get("/healthz")
def healthz() -> Response:
    """Say that the process answers."""
    return jsonify(status="ok", release=app.extensions["settings"].release)
