"""What can be done to users and products, whoever asks: the API and the pages share it.

A password's hash never leaves this module and `accounts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import Select, bindparam, select
from werkzeug.exceptions import Conflict, NotFound

from webapp import auth, db, logs
from webapp.i18n import N_
from webapp.listing import Listing, Page, Query
from webapp.models import Row, User, columns
from webapp.passwords import hash_password

T = TypeVar("T")
R = TypeVar("R", bound=Row)

logger = logs.logger("webapp.store")

OWN_ACCOUNT = N_("The account one is signed in with cannot be deleted.")


def page(listing: Listing, query: Query) -> Page:
    """Return a page of a list."""
    with db.reading() as connection:
        return listing.read(connection, query)


def get(model: type[Row], row_id: int) -> Any:
    """Return a row's columns that may be shown, by name: to be looked at, not to be changed.

    Raises:
        werkzeug.exceptions.NotFound: there is none with this id.
    """
    with db.reading() as connection:
        row = connection.execute(_one(model), {"row_id": row_id}).one_or_none()
    return _found(row, model, row_id)


@cache
def _one(model: type[Row]) -> Select[Any]:
    return select(*columns(model)).where(model.__table__.c.id == bindparam("row_id"))


def add(model: type[R], values: Mapping[str, Any]) -> R:
    """Insert a row and return it with what MySQL has set.

    Raises:
        webapp.db.DuplicateError: a unique column holds the value already.
    """
    row = model(**_stored(values))
    with db.session() as session:
        session.add(row)
        session.flush()
        session.refresh(row)
    _tell("add", row)
    return row


def change(model: type[R], row_id: int, values: Mapping[str, Any]) -> R:
    """Set the given columns and return the row.

    Raises:
        webapp.db.DuplicateError: a unique column holds the value already.
        werkzeug.exceptions.NotFound: there is none with this id.
    """
    stored = _stored(values)
    with db.session() as session:
        # Locked, so that nobody deletes it in between.
        row = _found(session.get(model, row_id, with_for_update=True), model, row_id)
        for name, value in stored.items():
            setattr(row, name, value)
        session.flush()
        session.refresh(row)
        if isinstance(row, User) and "password" in stored:
            session.refresh(row, ["password"])
            auth.keep_session(row)
    _tell("change", row)
    return row


def delete(model: type[Row], row_id: int) -> None:
    """Delete a row.

    Raises:
        werkzeug.exceptions.NotFound: there is none with this id.
        werkzeug.exceptions.Conflict: it is the account one is signed in with.
    """
    user = auth.current_user()
    if model is User and user is not None and user.id == row_id:
        raise Conflict(OWN_ACCOUNT)
    with db.session() as session:
        row = _found(session.get(model, row_id, with_for_update=True), model, row_id)
        session.delete(row)
    _tell("delete", row)


def _found(row: T | None, model: type[Row], row_id: int) -> T:
    if row is None:
        raise NotFound(f"There is no {model.noun} {row_id}.")
    return row


def _stored(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values as they are stored: a password as its hash."""
    stored = dict(values)
    if "password" in stored:
        stored["password"] = hash_password(stored["password"])
    return stored


def _tell(action: str, row: Row) -> None:
    user = auth.current_user()
    extra = {"action": action, "user": user.id if user else None}
    logger.info("%s %s", row.noun, row.id, extra=extra)
