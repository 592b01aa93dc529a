"""What can be done to users and products, whoever asks: the API and the pages share it.

Each change leaves a line in the table `audit`, in the same transaction. A password's hash never
leaves this module and `accounts`.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar

from flask import current_app
from sqlalchemy import Select, bindparam, insert, select, text
from sqlalchemy import delete as delete_rows
from sqlalchemy.orm import Session
from werkzeug.exceptions import Conflict, Forbidden, NotFound

from webapp import accounts, auth, db, logs
from webapp.i18n import N_
from webapp.listing import Listing, Page, Query
from webapp.models import ADMIN, Change, Product, Record, Row, Submission, Token, User, columns
from webapp.passwords import hash_password, is_weak
from webapp.schemas import InvalidBodyError

T = TypeVar("T")
R = TypeVar("R", bound=Record)

logger = logs.logger("webapp.store")

OWN_ACCOUNT = N_("The account one is signed in with cannot be deleted.")
LAST_ADMIN = N_("The last administrator can be neither deleted nor given another role.")
WEAK = N_("is too easy to guess: take some words that do not belong together")
OWN_PASSWORD = N_("is changed on the page of the account")
# What the audit list shows of a password.
MASK = "…"
# Seconds between two looks for lines of the audit list that are too old, and how many go at a time.
PRUNE_INTERVAL = 3600.0
PRUNED_AT_ONCE = 10_000

Fits = Callable[[int], bool]


class StaleError(Exception):
    """Somebody has changed the row since it was read.

    Attributes:
        row: as it is now.
    """

    def __init__(self, row: Any) -> None:
        """Remember the row."""
        super().__init__("changed in the meantime")
        self.row = row


class RepeatedError(Exception):
    """This form, or this request, was sent already."""


def page(listing: Listing[Row], query: Query) -> Page:
    """Return a page of a list."""
    with db.reading() as connection:
        return listing.read(connection, query)


def batch(listing: Listing[Row], last: int, q: str, limit: int) -> Sequence[Any]:
    """Return the rows of a searched list that follow an id."""
    with db.reading() as connection:
        return connection.execute(listing.after(last, q, limit)).all()


def versions(model: type[Record], ids: Collection[int]) -> dict[int, int]:
    """Return the version of each of these rows that is there, by id."""
    wanted = select(model.id, model.version).where(model.id.in_(ids))
    with db.reading() as connection:
        return {row.id: row.version for row in connection.execute(wanted)}


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


def add(
    model: type[R],
    values: Mapping[str, Any],
    key: str = "",
    before: Callable[[Session], None] | None = None,
    after: Callable[[Session, R], None] | None = None,
) -> R:
    """Insert a row and return it with what MySQL has set.

    Args:
        model: the table.
        values: of its columns.
        key: of the form, which may be sent once with these values; empty: as often as one likes.
        before: what else the transaction does first.
        after: what else it does when the row is there.

    Raises:
        RepeatedError: it was.
        webapp.db.DuplicateError: a unique column holds the value already.
        webapp.schemas.InvalidBodyError: the password is weak.
    """
    _check_password(values, values)
    stored = _stored(values)
    try:
        with db.session() as session:
            if key:
                once(session, f"{model.__tablename__}\0{key}\0{json.dumps(values, default=str)}")
            if before:
                before(session)
            if model is User:
                _lock_admins(session)
            row = add_to(session, model, stored)
            if after:
                after(session, row)
    except db.DuplicateError as error:
        if error.field == "PRIMARY":
            raise RepeatedError from error
        raise
    _log("add", row)
    return row


def add_to(session: Session, model: type[R], stored: Mapping[str, Any]) -> R:
    """Insert a row in a transaction that is under way."""
    row = model(**stored)
    session.add(row)
    session.flush()
    session.refresh(row)
    note(session, "add", row, {}, stored)
    return row


def once(session: Session, form: str) -> None:
    """Remember a form that was sent; a second time it breaks the table's primary key."""
    yesterday = Submission.created_at < text("CURRENT_TIMESTAMP - INTERVAL 1 DAY")
    session.execute(delete_rows(Submission).where(yesterday))
    user = auth.current_user()
    digest = hashlib.sha256(f"{user.id if user else 0}\0{form}".encode()).digest()
    session.execute(insert(Submission).values(digest=digest))


def change(model: type[R], row_id: int, values: Mapping[str, Any], fits: Fits | None = None) -> R:
    """Set the given columns and return the row.

    Args:
        model: the table.
        row_id: the row.
        values: of its columns.
        fits: tells whether the row's version is one that may be overwritten; None: any is.

    Raises:
        StaleError: it is not.
        webapp.db.DuplicateError: a unique column holds the value already.
        webapp.schemas.InvalidBodyError: the password is weak.
        werkzeug.exceptions.NotFound: there is none with this id.
        werkzeug.exceptions.Conflict: it is the last administrator, who would be none any more.
    """
    user = auth.current_user()
    if model is User and user and user.id == row_id and "password" in values and auth.by_session():
        # A browser that somebody has left alone must not be enough to take the account over.
        raise InvalidBodyError({"password": (OWN_PASSWORD, {})})
    # Before the transaction: a hash takes 30 ms, in which nobody need wait for the row.
    stored = _stored(values)
    with db.session() as session:
        admins = _lock_admins(session) if model is User else set()
        # Locked, so that nobody changes or deletes it in between.
        row = _found(session.get(model, row_id, with_for_update=True), model, row_id)
        if fits and not fits(row.version):
            session.expunge(row)
            raise StaleError(row)
        if admins == {row_id} and values.get("role", ADMIN) != ADMIN:
            raise Conflict(LAST_ADMIN)
        change_in(session, row, values, stored)
    _log("change", row)
    return row


def change_in(
    session: Session, row: Record, values: Mapping[str, Any], stored: Mapping[str, Any]
) -> None:
    """Set columns of a locked row in a transaction that is under way.

    Args:
        session: the transaction.
        row: the row.
        values: what was sent.
        stored: the same, a password as its hash.
    """
    _check_password(values, {**_words(row), **values})
    old = {name: getattr(row, name) for name in stored if name != "password"}
    changed = {
        name: value for name, value in stored.items() if name not in old or old[name] != value
    }
    if not changed:
        return
    for name, value in changed.items():
        setattr(row, name, value)
    row.version += 1
    session.flush()
    session.refresh(row)
    note(session, "change", row, old, changed)
    if isinstance(row, User) and "password" in changed:
        # Whoever has changed the own password goes on; everybody else has to know the new one.
        auth.end_sessions(session, row.id, keep_own=True)


def delete(model: type[Record], row_id: int, fits: Fits | None = None) -> None:
    """Delete a row.

    Args:
        model: the table.
        row_id: the row.
        fits: see change().

    Raises:
        StaleError: see change().
        werkzeug.exceptions.NotFound: there is none with this id.
        werkzeug.exceptions.Conflict: it is the account one is signed in with, or the last
            administrator.
    """
    user = auth.current_user()
    if model is User and user is not None and user.id == row_id:
        raise Conflict(OWN_ACCOUNT)
    with db.session() as session:
        admins = _lock_admins(session) if model is User else set()
        row = _found(session.get(model, row_id, with_for_update=True), model, row_id)
        if fits and not fits(row.version):
            session.expunge(row)
            raise StaleError(row)
        if admins == {row_id}:
            raise Conflict(LAST_ADMIN)
        own = {column.name for column in columns(model)} - {"id", "version"}
        note(session, "delete", row, {name: getattr(row, name) for name in own}, {})
        session.delete(row)
    _log("delete", row)


def _lock_admins(session: Session) -> set[int]:
    """Lock all administrators, so that changes of accounts come one after the other.

    Raises:
        werkzeug.exceptions.Forbidden: who asks is none any more.
    """
    wanted = select(User.id).where(User.role == ADMIN).with_for_update()
    admins = set(session.scalars(wanted))
    user = auth.current_user()
    if user is None or user.id not in admins:
        raise Forbidden("The account is no administrator any more.")
    return admins


def _found(row: T | None, model: type[Row], row_id: int) -> T:
    if row is None:
        raise NotFound(f"There is no {model.noun} {row_id}.")
    return row


def _words(row: Record) -> dict[str, Any]:
    return {name: getattr(row, name, "") for name in ("name", "username", "email")}


def _check_password(values: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    words = [str(known[name]) for name in ("name", "username", "email") if name in known]
    if "password" in values and is_weak(values["password"], words):
        raise InvalidBodyError({"password": (WEAK, {})})


def _stored(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values as they are stored: a password as its hash."""
    stored = dict(values)
    if "password" in stored:
        stored["password"] = hash_password(stored["password"])
    return stored


def note(
    session: Session, action: str, row: Any, old: Mapping[str, Any], new: Mapping[str, Any]
) -> None:
    """Write a line of the audit list.

    Args:
        session: the transaction of the change.
        action: add, change or delete.
        row: what was changed.
        old: values before; those that are not in `new` are left out of a change.
        new: values after.
    """
    _prune(session)
    user = auth.current_user()
    before = old if action == "delete" else {name: old[name] for name in new if name in old}
    session.add(
        Change(
            user_id=user.id if user else None,
            username=user.username if user else "",
            action=action,
            kind=row.noun,
            row_id=row.id,
            name=row.name,
            old_values=_plain(before),
            new_values=_plain(new),
        )
    )


def _prune(session: Session) -> None:
    """Once an hour, remove what the audit list has had for longer than the settings say."""
    known = current_app.extensions
    days, now = known["settings"].audit_days, time.monotonic()
    if not days or now < known.get("audit_prune_at", 0.0):
        return
    known["audit_prune_at"] = now + PRUNE_INTERVAL
    old = Change.created_at < text(f"CURRENT_TIMESTAMP - INTERVAL {days} DAY")
    # A part at a time, so that no request has to do the work of years.
    session.execute(delete_rows(Change).where(old).with_dialect_options(mysql_limit=PRUNED_AT_ONCE))


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as JSON has them, and no password."""
    return {
        name: MASK
        if name in {"password", "digest"}
        else value
        if isinstance(value, int | str) and not isinstance(value, Decimal)
        else str(value)
        for name, value in values.items()
    }


def _log(action: str, row: Row) -> None:
    user = auth.current_user()
    extra = {"action": action, "user": user.id if user else None}
    logger.info("%s %s", row.noun, row.id, extra=extra)


def change_password(user: User, password: str) -> None:
    """Give the own account a new password; its other sessions end.

    Raises:
        webapp.schemas.InvalidBodyError: the password is weak.
        werkzeug.exceptions.NotFound: the account is gone.
    """
    values = {"password": password}
    stored = _stored(values)
    with db.session() as session:
        row = _found(session.get(User, user.id, with_for_update=True), User, user.id)
        change_in(session, row, values, stored)
    _log("change", row)


def tokens(user: User) -> list[Token]:
    """Return the tokens of an account, the newest first."""
    wanted = select(Token).where(Token.user_id == user.id).order_by(Token.id.desc())
    with db.reading() as connection, Session(connection) as session:
        return list(session.scalars(wanted))


def add_token(user: User, name: str) -> str:
    """Make a token for an account and return it; only its digest is kept."""
    # The beginning tells whoever finds one what it is, secret scanners too.
    token = f"webapp_{secrets.token_urlsafe(32)}"
    with db.session() as session:
        row = Token(user_id=user.id, name=name, digest=accounts.digest(token))
        session.add(row)
        session.flush()
        note(session, "add", row, {}, {"name": name})
    _log("add", row)
    return token


def delete_token(user: User, token_id: int) -> str:
    """Take a token of an account back; return its name.

    Raises:
        werkzeug.exceptions.NotFound: the account has none with this id.
    """
    wanted = select(Token).where(Token.id == token_id, Token.user_id == user.id)
    with db.session() as session:
        row = _found(session.scalar(wanted.with_for_update()), Token, token_id)
        note(session, "delete", row, {"name": row.name}, {})
        session.delete(row)
    _log("delete", row)
    return row.name


def import_products(
    lines: Sequence[tuple[int | None, int | None, Mapping[str, Any]]], key: str
) -> tuple[int, int]:
    """Add and change products, all of them or none; return how many of each.

    Args:
        lines: the product to change, or None for a new one; the version that it must have, or None
            for any; the values.
        key: of the form, which may be sent once with these lines.

    Raises:
        RepeatedError: it was.
        StaleError: a product is gone, or has another version.
    """
    added = changed = 0
    try:
        with db.session() as session:
            once(session, f"import\0{key}\0{json.dumps(lines, default=str)}")
            for row_id, version, values in lines:
                if row_id is None:
                    add_to(session, Product, values)
                    added += 1
                    continue
                row = session.get(Product, row_id, with_for_update=True)
                if row is None or version not in {None, row.version}:
                    raise StaleError(None)
                before = row.version
                change_in(session, row, values, values)
                changed += row.version > before
    except db.DuplicateError as error:
        raise RepeatedError from error
    user = auth.current_user()
    extra = {"action": "import", "user": user.id if user else None}
    logger.info("products: %d added, %d changed", added, changed, extra=extra)
    return added, changed
