"""Who may do what: anybody reads pages and products, the administrator does the rest."""

from __future__ import annotations

import hmac

from flask import current_app, request
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized

from webapp.config import Settings

ADMIN_NAME = "admin"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def require_admin() -> None:
    """Let the request pass when it carries the administrator's name and password (HTTP Basic).

    A foreign web page cannot use a browser's remembered password: changes need the content type
    application/json or the methods PUT and DELETE, which a browser asks about first (CORS), and
    that question is answered with no.

    Raises:
        werkzeug.exceptions.Unauthorized: it does not.
    """
    settings: Settings = current_app.extensions["settings"]
    given = request.authorization
    name = (given.username if given else None) or ""
    password = (given.password if given else None) or ""
    # Both are always compared, in a time that does not depend on where they differ.
    name_right = hmac.compare_digest(name.encode(errors="replace"), ADMIN_NAME.encode())
    password_right = hmac.compare_digest(
        password.encode(errors="replace"), settings.admin_password.encode()
    )
    if not (name_right and password_right):
        raise Unauthorized(
            f"Name and password are needed (HTTP Basic, user {ADMIN_NAME}).",
            www_authenticate=WWWAuthenticate("basic", {"realm": "webapp", "charset": "UTF-8"}),
        )


def require_admin_to_change() -> None:
    """Like require_admin, but reading is free."""
    if request.method not in SAFE_METHODS:
        require_admin()
