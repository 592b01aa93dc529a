"""Roles, versions of rows, sessions and tokens that can be revoked, and who changed what."""

from alembic import op

from webapp.migrations import ensure

revision = "0003"
down_revision = "0002"

OF_A_USER = "FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE"


def upgrade() -> None:
    """Make what is missing.

    Whoever has an account keeps handling products; accounts are `admin`'s alone from now on. The
    release before adds users with the default role, the one that may do least.
    """
    ensure.column("users", "role", "ENUM('viewer', 'editor', 'admin') NOT NULL DEFAULT 'viewer'")
    op.execute(
        "UPDATE users SET role = IF(username = 'admin', 'admin', 'editor'), updated_at = updated_at"
    )
    ensure.index("users", "users_role", "role")
    for table in ("users", "products"):
        ensure.column(table, "version", "INT UNSIGNED NOT NULL DEFAULT 1")
    ensure.table(
        "sessions",
        f"""
  digest BINARY(32) NOT NULL PRIMARY KEY COMMENT 'SHA-256 of what the cookie holds',
  user_id BIGINT UNSIGNED NOT NULL,
  created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  expires_at TIMESTAMP NOT NULL,
  KEY sessions_expires_at (expires_at),
  CONSTRAINT session_of_a_user {OF_A_USER}
""",
    )
    ensure.table(
        "tokens",
        f"""
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  user_id BIGINT UNSIGNED NOT NULL,
  name VARCHAR(100) NOT NULL,
  digest BINARY(32) NOT NULL COMMENT 'SHA-256 of the token',
  created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  UNIQUE KEY digest (digest),
  CONSTRAINT token_of_a_user {OF_A_USER}
""",
    )
    # Without a foreign key: what somebody did stays when the account goes.
    ensure.table(
        "audit",
        """
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  user_id BIGINT UNSIGNED NULL,
  username VARCHAR(50) NOT NULL,
  action VARCHAR(20) NOT NULL,
  kind VARCHAR(20) NOT NULL,
  row_id BIGINT UNSIGNED NOT NULL,
  name VARCHAR(100) NOT NULL,
  old_values JSON NOT NULL,
  new_values JSON NOT NULL
""",
    )
    ensure.table(
        "submissions",
        """
  digest BINARY(32) NOT NULL PRIMARY KEY COMMENT 'SHA-256 of a form that was sent, and by whom',
  created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  KEY submissions_created_at (created_at)
""",
    )
