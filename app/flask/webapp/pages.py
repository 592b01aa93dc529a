"""The pages that people look at."""

from __future__ import annotations

from flask import Blueprint, render_template, request

from webapp import store
from webapp.paging import page_of
from webapp.store import Table

blueprint = Blueprint("pages", __name__)


def _listing(template: str, table: Table) -> str:
    limit, offset = page_of(request.args)
    return render_template(
        template,
        rows=table.page(limit, offset),
        total=table.count(),
        limit=limit,
        offset=offset,
    )


@blueprint.get("/")
def users() -> str:
    """Names and usernames; nothing else of a user is public."""
    return _listing("users.html", store.users)


@blueprint.get("/products")
def products() -> str:
    """The products with price and stock."""
    return _listing("products.html", store.products)
