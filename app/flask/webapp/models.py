"""The tables, as the application sees them. What makes them is in migrations/."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from sqlalchemy import Column, FetchedValue, String, inspect
from sqlalchemy.dialects.mysql import BIGINT, BINARY, DECIMAL, INTEGER, JSON, TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, Mapped, deferred, mapped_column

# What an account may do, each more than the one before it: look; handle products; handle accounts.
VIEWER = "viewer"
EDITOR = "editor"
ADMIN = "admin"
ROLES = (VIEWER, EDITOR, ADMIN)


class Base(DeclarativeBase):
    """What SQLAlchemy knows of all tables."""


class Row(Base):
    """What every table of a list has: an id that MySQL counts, and the time it was made.

    Attributes:
        noun: what a row is called in a message.
    """

    __abstract__ = True
    noun: ClassVar[str]

    id: Mapped[int] = mapped_column(BIGINT(unsigned=True), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP, server_default=FetchedValue())


class Record(Row):
    """A row that is edited: each change makes its version one higher."""

    __abstract__ = True

    name: Mapped[str] = mapped_column(String(100))
    version: Mapped[int] = mapped_column(INTEGER(unsigned=True), default=1)
    updated_at: Mapped[datetime] = mapped_column(
        TIMESTAMP, server_default=FetchedValue(), server_onupdate=FetchedValue()
    )


class User(Record):
    """An account. Its password's hash is loaded on demand only: no list carries it."""

    __tablename__ = "users"
    noun = "user"

    email: Mapped[str] = mapped_column(String(254))
    username: Mapped[str] = mapped_column(String(50))
    role: Mapped[str] = mapped_column(String(10), default=VIEWER)
    password: Mapped[str] = deferred(mapped_column(String(255)))

    def may(self, role: str) -> bool:
        """Return whether the account may do all that this role may."""
        return ROLES.index(self.role) >= ROLES.index(role)


class Product(Record):
    """A product. Its price is exact."""

    __tablename__ = "products"
    noun = "product"

    description: Mapped[str] = mapped_column(String(1000), default="")
    price: Mapped[Decimal] = mapped_column(DECIMAL(10, 2))
    stock: Mapped[int] = mapped_column(INTEGER(unsigned=True), default=0)


class Token(Row):
    """What a program signs in with instead of an account's name and password."""

    __tablename__ = "tokens"
    noun = "token"

    user_id: Mapped[int] = mapped_column(BIGINT(unsigned=True))
    name: Mapped[str] = mapped_column(String(100))
    digest: Mapped[bytes] = deferred(mapped_column(BINARY(32)))


class Change(Row):
    """Who changed what: only the columns that changed, with their values before and after."""

    __tablename__ = "audit"
    noun = "change"

    user_id: Mapped[int | None] = mapped_column(BIGINT(unsigned=True))
    username: Mapped[str] = mapped_column(String(50))
    action: Mapped[str] = mapped_column(String(20))
    kind: Mapped[str] = mapped_column(String(20))
    row_id: Mapped[int] = mapped_column(BIGINT(unsigned=True))
    name: Mapped[str] = mapped_column(String(100))
    old_values: Mapped[dict[str, Any]] = mapped_column(JSON)
    new_values: Mapped[dict[str, Any]] = mapped_column(JSON)


class SignedIn(Base):
    """A browser that is signed in, until it expires or the row is gone."""

    __tablename__ = "sessions"

    digest: Mapped[bytes] = mapped_column(BINARY(32), primary_key=True)
    user_id: Mapped[int] = mapped_column(BIGINT(unsigned=True))
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP, server_default=FetchedValue())
    expires_at: Mapped[datetime] = mapped_column(TIMESTAMP)


class Submission(Base):
    """A form that was sent: a second click on its button adds nothing."""

    __tablename__ = "submissions"

    digest: Mapped[bytes] = mapped_column(BINARY(32), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP, server_default=FetchedValue())


class Answered(Base):
    """A request of the API with an Idempotency-Key, and what it was answered."""

    __tablename__ = "requests"

    digest: Mapped[bytes] = mapped_column(BINARY(32), primary_key=True)
    body: Mapped[bytes] = mapped_column(BINARY(32))
    row_id: Mapped[int] = mapped_column(BIGINT(unsigned=True), default=0)
    answer: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP, server_default=FetchedValue())


def columns(model: type[Row]) -> list[Column[Any]]:
    """Return the columns of a table that are loaded without being asked for: never a password."""
    attributes = inspect(model).column_attrs
    return [
        column
        for attribute in attributes
        if not attribute.deferred
        for column in attribute.columns
        if isinstance(column, Column)
    ]
