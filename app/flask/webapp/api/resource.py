"""The six operations of a resource: list, create, read, replace, change, delete."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, jsonify, request, url_for
from flask.typing import ResponseReturnValue

from webapp import auth, store
from webapp.listing import Listing
from webapp.schemas import Body, Shown
from webapp.web import json_body


@dataclass(frozen=True)
class Resource:
    """What distinguishes one resource from another.

    Attributes:
        name: in addresses, and of the blueprint.
        listing: the table, and what can be asked of it.
        shown: what leaves.
        new: what a POST brings.
        whole: what a PUT brings.
        part: what a PATCH brings.
        reading_is_free: whether GET needs no account.
    """

    name: str
    listing: Listing
    shown: type[Shown]
    new: type[Body]
    whole: type[Body]
    part: type[Body]
    reading_is_free: bool = False

    def list(self) -> ResponseReturnValue:
        """GET: {"items": […], "total": n, "page": n, "per_page": n, "pages": n}."""
        page = store.page(self.listing, self.listing.query(request.args))
        return jsonify(
            items=[self.shown.of(row) for row in page.rows],
            total=page.total,
            page=page.query.page,
            per_page=page.query.per_page,
            pages=page.pages,
        )

    def create(self) -> ResponseReturnValue:
        """POST: 201, the new one, and its address in Location."""
        row = store.add(self.listing.model, self.new.check(json_body()))
        location = url_for(f"{self.name}.read", row_id=row.id)
        return jsonify(self.shown.of(row)), 201, {"Location": location}

    def read(self, row_id: int) -> ResponseReturnValue:
        """GET one: the row, or 404."""
        return jsonify(self.shown.of(store.get(self.listing.model, row_id)))

    def replace(self, row_id: int) -> ResponseReturnValue:
        """PUT: all fields anew; 200 and the row, or 404."""
        values = self.whole.check(json_body())
        return jsonify(self.shown.of(store.change(self.listing.model, row_id, values)))

    def change(self, row_id: int) -> ResponseReturnValue:
        """PATCH: the given fields anew; 200 and the row, or 404."""
        values = self.part.check(json_body())
        return jsonify(self.shown.of(store.change(self.listing.model, row_id, values)))

    def delete(self, row_id: int) -> ResponseReturnValue:
        """DELETE: 204, or 404."""
        store.delete(self.listing.model, row_id)
        return "", 204

    def blueprint(self) -> Blueprint:
        """Return the six routes, guarded."""
        blueprint = Blueprint(self.name, __name__, url_prefix=f"/api/{self.name}")
        auth.guard(blueprint, reading_is_free=self.reading_is_free)
        blueprint.get("", endpoint="list")(self.list)
        blueprint.post("", endpoint="create")(self.create)
        blueprint.get("/<id:row_id>", endpoint="read")(self.read)
        blueprint.put("/<id:row_id>", endpoint="replace")(self.replace)
        blueprint.patch("/<id:row_id>", endpoint="change")(self.change)
        blueprint.delete("/<id:row_id>", endpoint="delete")(self.delete)
        return blueprint
