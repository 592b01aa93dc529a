"""The six operations of a resource: list, create, read, replace, change, delete."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, jsonify, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import PreconditionRequired

from webapp import auth, idempotency, store
from webapp.i18n import N_
from webapp.listing import Listing, Page
from webapp.models import EDITOR, Record, Row
from webapp.schemas import Body, InvalidBodyError, Shown
from webapp.web import json_body

LIST_PARAMETERS = ("page", "per_page", "q", "sort")


@dataclass(frozen=True, kw_only=True)
class Collection:
    """A list that can be read.

    Attributes:
        name: in addresses, and of the blueprint.
        listing: the table, and what can be asked of it.
        shown: what leaves.
        reader: the role that GET needs; None: no account.
        writer: the role that changes need.
    """

    name: str
    listing: Listing[Row]
    shown: type[Shown]
    reader: str | None = None
    writer: str = EDITOR

    def list(self) -> ResponseReturnValue:
        """GET: {"items": […], "total": n, "page": n, "per_page": n, "pages": n}."""
        page = store.page(self.listing, self.listing.query(request.args))
        response = jsonify(
            items=[self.shown.of(row) for row in page.rows],
            total=page.total,
            page=page.query.page,
            per_page=page.query.per_page,
            pages=page.pages,
        )
        if page.pages > 1:
            response.headers["Link"] = links(page)
        return response

    def blueprint(self) -> Blueprint:
        """Return its route, guarded."""
        blueprint = Blueprint(self.name, __name__, url_prefix=f"/api/{self.name}")
        auth.guard(blueprint, reader=self.reader, writer=self.writer)
        blueprint.before_request(check_parameters)
        blueprint.get("", endpoint="list")(self.list)
        return blueprint


@dataclass(frozen=True, kw_only=True)
class Resource(Collection):
    """A list whose rows are made, read, changed and deleted.

    Attributes:
        new: what a POST brings.
        whole: what a PUT brings.
        part: what a PATCH brings.
    """

    listing: Listing[Record]
    new: type[Body]
    whole: type[Body]
    part: type[Body]

    def create(self) -> ResponseReturnValue:
        """POST: 201, the new one, and its address in Location.

        Sent again with the same Idempotency-Key, it gets the same answer and adds nothing.
        """
        body = json_body()
        attempt = idempotency.attempt(body)
        if attempt and (answer := attempt.earlier()):
            return self._created(answer.row_id, answer.shown)
        values = self.new.check(body)
        if not attempt:
            row = store.add(self.listing.model, values)
            return self._created(row.id, self.shown.of(row))
        try:
            row = store.add(
                self.listing.model,
                values,
                before=attempt.begin,
                after=lambda session, row: attempt.end(session, row.id, self.shown.of(row)),
            )
        except store.RepeatedError:
            # The first was under way, and is done now.
            answer = attempt.earlier()
            if answer is None:
                raise
            return self._created(answer.row_id, answer.shown)
        return self._created(row.id, self.shown.of(row))

    def read(self, row_id: int) -> ResponseReturnValue:
        """GET one: the row and its version (ETag); 304 where If-None-Match has that; or 404."""
        row = store.get(self.listing.model, row_id)
        if "If-None-Match" in request.headers:
            known = request.if_none_match
            if known.star_tag or known.contains_weak(str(row.version)):
                return "", 304, {"ETag": f'"{row.version}"'}
        return self._answer(row)

    def replace(self, row_id: int) -> ResponseReturnValue:
        """PUT: all fields anew; 200 and the row, or 404; 412 unless If-Match has its version."""
        if "If-Match" not in request.headers:
            raise PreconditionRequired(
                "PUT needs If-Match with the ETag of what it replaces, or * for whatever is there."
            )
        return self._change(row_id, self.whole.check(json_body()))

    def change(self, row_id: int) -> ResponseReturnValue:
        """PATCH: the given fields anew; 200 and the row, or 404; 412 as PUT, if it is asked for."""
        return self._change(row_id, self.part.check(json_body()))

    def delete(self, row_id: int) -> ResponseReturnValue:
        """DELETE: 204, or 404; 412 as PUT, if it is asked for."""
        store.delete(self.listing.model, row_id, expected())
        return "", 204

    def _change(self, row_id: int, values: Mapping[str, Any]) -> Response:
        return self._answer(store.change(self.listing.model, row_id, values, expected()))

    def _created(self, row_id: int, shown: Mapping[str, Any]) -> ResponseReturnValue:
        response = jsonify(shown)
        response.headers["ETag"] = f'"{shown["version"]}"'
        response.headers["Location"] = url_for(f"{self.name}.read", row_id=row_id)
        return response, 201

    def _answer(self, row: Any) -> Response:
        response = jsonify(self.shown.of(row))
        response.headers["ETag"] = f'"{row.version}"'
        return response

    def blueprint(self) -> Blueprint:
        """Return the six routes, guarded."""
        blueprint = super().blueprint()
        blueprint.post("", endpoint="create")(self.create)
        blueprint.get("/<id:row_id>", endpoint="read")(self.read)
        blueprint.put("/<id:row_id>", endpoint="replace")(self.replace)
        blueprint.patch("/<id:row_id>", endpoint="change")(self.change)
        blueprint.delete("/<id:row_id>", endpoint="delete")(self.delete)
        return blueprint


def check_parameters() -> None:
    """Refuse a query string with names that mean nothing here, or twice the same.

    Raises:
        InvalidBodyError: it has some.
    """
    if not request.query_string:
        return
    known = LIST_PARAMETERS if (request.endpoint or "").endswith(".list") else ()
    errors: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for name, values in request.args.lists():
        if name not in known:
            errors[name] = (N_("unknown parameter"), {})
        elif len(values) > 1:
            errors[name] = (N_("is there twice"), {})
    if errors:
        raise InvalidBodyError(errors)


def expected() -> store.Fits | None:
    """Return what If-Match asks of a row's version; None without If-Match, and for *."""
    if "If-Match" not in request.headers or request.if_match.star_tag:
        return None
    tags = request.if_match
    return lambda version: tags.contains(str(version))


def links(page: Page) -> str:
    """Return a list's neighbours for the header Link (RFC 8288)."""
    number, last = page.query.page, page.pages
    others = {"first": 1, "prev": min(number - 1, last), "next": number + 1, "last": last}
    asked = {name: value for name, value in request.args.items() if name != "page"}
    return ", ".join(
        f'<{request.path}?{urlencode({**asked, "page": other})}>; rel="{name}"'
        for name, other in others.items()
        if 1 <= other <= last
    )
