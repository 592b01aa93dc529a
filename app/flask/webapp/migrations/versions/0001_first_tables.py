"""The two tables; on a host that ran an earlier release they are there, and stay as they are."""

from webapp.migrations import ensure

revision = "0001"
down_revision = None

TIMES = """
  created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP
"""


def upgrade() -> None:
    """Make what is missing."""
    ensure.table(
        "users",
        f"""
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name VARCHAR(100) NOT NULL,
  email VARCHAR(254) NOT NULL,
  username VARCHAR(50) NOT NULL,
  password VARCHAR(255) NOT NULL COMMENT 'scrypt hash, never the password',
  {TIMES},
  UNIQUE KEY username (username),
  UNIQUE KEY email (email)
""",
    )
    ensure.table(
        "products",
        f"""
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name VARCHAR(100) NOT NULL,
  description VARCHAR(1000) NOT NULL DEFAULT '',
  price DECIMAL(10, 2) NOT NULL,
  stock INT UNSIGNED NOT NULL DEFAULT 0,
  {TIMES},
  CONSTRAINT price_not_negative CHECK (price >= 0)
""",
    )
