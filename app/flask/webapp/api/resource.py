"""The five operations of a resource: list, create, read, replace, delete."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Blueprint, jsonify, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from webapp import validation
from webapp.paging import page_of
from webapp.store import Table


@dataclass(frozen=True)
class Resource:
    """What distinguishes one resource from another.

    Attributes:
        table: where the rows are.
        rules: what a body must look like, by field.
        optional: fields that POST may leave out (the table has a default).
        keepable: fields that PUT may leave out (they keep their value).
    """

    table: Table
    rules: Mapping[str, validation.Rule]
    optional: Collection[str] = field(default=())
    keepable: Collection[str] = field(default=())

    def _missing(self, row_id: int) -> NotFound:
        return NotFound(f"There is no {self.table.name[:-1]} {row_id}.")

    def _found(self, row_id: int) -> dict[str, Any]:
        row = self.table.get(row_id)
        if row is None:
            raise self._missing(row_id)
        return row

    def list(self) -> ResponseReturnValue:
        """GET: {"items": […], "total": n, "limit": n, "offset": n}."""
        limit, offset = page_of(request.args)
        return jsonify(
            items=self.table.page(limit, offset),
            total=self.table.count(),
            limit=limit,
            offset=offset,
        )

    def create(self) -> ResponseReturnValue:
        """POST: 201, the new one, and its address in Location."""
        row_id = self.table.add(validation.check(validation.body(), self.rules, self.optional))
        location = url_for(".read", row_id=row_id)
        return jsonify(self._found(row_id)), 201, {"Location": location}

    def read(self, row_id: int) -> ResponseReturnValue:
        """GET one: the row, or 404."""
        return jsonify(self._found(row_id))

    def replace(self, row_id: int) -> ResponseReturnValue:
        """PUT: all fields anew; 200 and the row, or 404."""
        values = validation.check(validation.body(), self.rules, self.keepable)
        if not self.table.replace(row_id, values):
            raise self._missing(row_id)
        return jsonify(self._found(row_id))

    def delete(self, row_id: int) -> ResponseReturnValue:
        """DELETE: 204, or 404."""
        if not self.table.delete(row_id):
            raise self._missing(row_id)
        return "", 204

    def register(self, blueprint: Blueprint) -> None:
        """Add the five routes to the blueprint."""
        blueprint.get("", endpoint="list")(self.list)
        blueprint.post("", endpoint="create")(self.create)
        blueprint.get("/<id:row_id>", endpoint="read")(self.read)
        blueprint.put("/<id:row_id>", endpoint="replace")(self.replace)
        blueprint.delete("/<id:row_id>", endpoint="delete")(self.delete)
