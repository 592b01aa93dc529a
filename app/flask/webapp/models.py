"""The tables, as the application sees them. What makes them is in migrations/."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from sqlalchemy import Column, FetchedValue, String, inspect
from sqlalchemy.dialects.mysql import BIGINT, DECIMAL, INTEGER, TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, Mapped, deferred, mapped_column


class Row(DeclarativeBase):
    """What every table has: an id that MySQL counts, and the times that it keeps.

    Attributes:
        noun: what a row is called in a message.
    """

    noun: ClassVar[str]

    id: Mapped[int] = mapped_column(BIGINT(unsigned=True), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP, server_default=FetchedValue())
    updated_at: Mapped[datetime] = mapped_column(
        TIMESTAMP, server_default=FetchedValue(), server_onupdate=FetchedValue()
    )


class User(Row):
    """An account. Its password's hash is loaded on demand only: no list carries it."""

    __tablename__ = "users"
    noun = "user"

    name: Mapped[str] = mapped_column(String(100))
    email: Mapped[str] = mapped_column(String(254))
    username: Mapped[str] = mapped_column(String(50))
    password: Mapped[str] = deferred(mapped_column(String(255)))


class Product(Row):
    """A product. Its price is exact."""

    __tablename__ = "products"
    noun = "product"

    name: Mapped[str] = mapped_column(String(100))
    description: Mapped[str] = mapped_column(String(1000), default="")
    price: Mapped[Decimal] = mapped_column(DECIMAL(10, 2))
    stock: Mapped[int] = mapped_column(INTEGER(unsigned=True), default=0)


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
