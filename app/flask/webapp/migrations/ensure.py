"""Statements of a migration that may be run again: each looks first whether its work is done."""

from __future__ import annotations

from alembic import op
from sqlalchemy import inspect, text


def table(name: str, definition: str) -> None:
    """Make a table unless there is one of this name.

    Args:
        name: the table.
        definition: what stands between the parentheses of CREATE TABLE.
    """
    op.execute(
        f"CREATE TABLE IF NOT EXISTS {name} ({definition})"
        " DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_0900_ai_ci"
    )


def index(table_name: str, name: str, columns: str) -> None:
    """Make an index unless the table has one of this name.

    Args:
        table_name: the table.
        name: the index.
        columns: its columns, separated by commas.
    """
    if name not in {found["name"] for found in inspect(op.get_bind()).get_indexes(table_name)}:
        op.execute(f"CREATE INDEX {name} ON {table_name} ({columns})")


def column(table_name: str, name: str, definition: str) -> None:
    """Add a column unless the table has one of this name.

    Args:
        table_name: the table.
        name: the column.
        definition: its type, NULL-ness and default.
    """
    if name not in {found["name"] for found in inspect(op.get_bind()).get_columns(table_name)}:
        op.execute(f"ALTER TABLE {table_name} ADD COLUMN {name} {definition}")


def comment(table_name: str, column: str, definition: str, wanted: str) -> None:
    """Bring a column's comment to a text; nothing else of the column changes.

    Args:
        table_name: the table.
        column: the column.
        definition: its type and NULL-ness, as they are.
        wanted: the comment.
    """
    found = op.get_bind().execute(
        text(
            "SELECT column_comment FROM information_schema.columns WHERE table_schema = DATABASE()"
            " AND table_name = :table AND column_name = :column"
        ),
        {"table": table_name, "column": column},
    )
    if found.scalar_one() != wanted:
        op.execute(
            f"ALTER TABLE {table_name} MODIFY {column} {definition} COMMENT '{wanted}',"
            " ALGORITHM=INSTANT"
        )
