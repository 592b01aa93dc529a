"""/api/products: anybody reads, the administrator changes."""

from __future__ import annotations

from flask import Blueprint

from webapp import store, validation
from webapp.api.resource import Resource
from webapp.auth import require_admin_to_change

blueprint = Blueprint("products", __name__, url_prefix="/api/products")
blueprint.before_request(require_admin_to_change)

Resource(
    store.products,
    rules={
        "name": validation.text(maximum=100),
        "description": validation.text(minimum=0, maximum=1000, lines=True),
        "price": validation.money,
        "stock": validation.integer(0, 1_000_000_000),
    },
    optional=("description", "stock"),
).register(blueprint)
