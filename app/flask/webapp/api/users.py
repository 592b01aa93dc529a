"""/api/users, for the administrator only."""

from __future__ import annotations

import re

from flask import Blueprint

from webapp import store, validation
from webapp.api.resource import Resource
from webapp.auth import require_admin
from webapp.passwords import hash_password

blueprint = Blueprint("users", __name__, url_prefix="/api/users")
blueprint.before_request(require_admin)

_password_text = validation.text(minimum=8, maximum=128, strip=False)


def _password(value: object) -> str:
    return hash_password(_password_text(value))


Resource(
    store.users,
    rules={
        "name": validation.text(maximum=100),
        "email": validation.text(
            maximum=254,
            pattern=validation.EMAIL,
            expected="must be an address like ana@example.com",
        ),
        "username": validation.text(
            minimum=3,
            maximum=50,
            pattern=re.compile(r"[A-Za-z0-9._-]+"),
            expected="must consist of letters A-Z, digits, dots, hyphens and underscores",
        ),
        "password": _password,
    },
    keepable=("password",),
).register(blueprint)
