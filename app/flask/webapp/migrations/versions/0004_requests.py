"""Requests of the API that may be sent again, and an audit list that can be pruned."""

from webapp.migrations import ensure

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make what is missing."""
    ensure.table(
        "requests",
        """
  digest BINARY(32) NOT NULL PRIMARY KEY COMMENT 'HMAC of Idempotency-Key, account and path',
  body BINARY(32) NOT NULL COMMENT 'HMAC of what was sent',
  row_id BIGINT UNSIGNED NOT NULL DEFAULT 0,
  answer JSON NULL,
  created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  KEY requests_created_at (created_at)
""",
    )
    ensure.index("audit", "audit_created_at", "created_at")
