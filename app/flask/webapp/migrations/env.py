"""What Alembic runs: the connection comes from webapp.migrate."""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    # Each revision is noted as soon as it is done; a later one that fails does not undo it.
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
