"""Indexes for the sorting of lists, so that a page of 10,000 rows reads a page, not 10,000 rows."""

from webapp.migrations import ensure

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make what is missing. InnoDB's indexes end in the primary key, which breaks ties."""
    ensure.index("users", "users_name", "name")
    ensure.index("products", "products_name", "name")
    ensure.index("products", "products_price", "price")
    ensure.index("products", "products_stock", "stock")
    ensure.comment(
        "users", "password", "VARCHAR(255) NOT NULL", "argon2id or scrypt hash, never the password"
    )
