"""Users and products in MySQL: every statement of the application is here.

A password's hash never leaves this module: no SELECT names the column.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from webapp import db


@dataclass(frozen=True)
class Table:
    """A table: the columns that a reader sees (`shown`) and those that a writer sets (`written`).

    Names of tables and columns come from this module alone; what users send travels as parameters.
    """

    name: str
    shown: tuple[str, ...]
    written: tuple[str, ...]

    def count(self) -> int:
        """Return the number of rows."""
        found = db.row(f"SELECT COUNT(*) AS total FROM {self.name}")  # noqa: S608
        return int(found["total"]) if found else 0

    def page(self, limit: int, offset: int) -> list[db.Row]:
        """Return up to `limit` rows, oldest first, after skipping `offset`."""
        return db.rows(
            f"SELECT {', '.join(self.shown)} FROM {self.name} ORDER BY id LIMIT %s OFFSET %s",  # noqa: S608
            (limit, offset),
        )

    def get(self, row_id: int) -> db.Row | None:
        """Return the row with this id, or None."""
        return db.row(
            f"SELECT {', '.join(self.shown)} FROM {self.name} WHERE id = %s",  # noqa: S608
            (row_id,),
        )

    def add(self, values: Mapping[str, Any]) -> int:
        """Insert a row and return its id.

        Raises:
            db.DuplicateError: a unique column holds the value already.
        """
        columns = [column for column in self.written if column in values]
        marks = ", ".join(["%s"] * len(columns))
        return db.change(
            f"INSERT INTO {self.name} ({', '.join(columns)}) VALUES ({marks})",  # noqa: S608
            [values[column] for column in columns],
        ).new_id

    def replace(self, row_id: int, values: Mapping[str, Any]) -> bool:
        """Set the given columns; return whether there is such a row.

        Raises:
            db.DuplicateError: a unique column holds the value already.
        """
        columns = [column for column in self.written if column in values]
        assignments = ", ".join(f"{column} = %s" for column in columns)
        outcome = db.change(
            f"UPDATE {self.name} SET {assignments} WHERE id = %s",  # noqa: S608
            [*(values[column] for column in columns), row_id],
        )
        return outcome.rows > 0

    def delete(self, row_id: int) -> bool:
        """Delete the row; return whether there was one."""
        return db.change(f"DELETE FROM {self.name} WHERE id = %s", (row_id,)).rows > 0  # noqa: S608


users = Table(
    "users",
    shown=("id", "name", "email", "username", "created_at", "updated_at"),
    written=("name", "email", "username", "password"),
)
products = Table(
    "products",
    shown=("id", "name", "description", "price", "stock", "created_at", "updated_at"),
    written=("name", "description", "price", "stock"),
)
