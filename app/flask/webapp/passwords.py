"""Hashes of users' passwords."""

from __future__ import annotations

import threading

from werkzeug.security import generate_password_hash

# scrypt with N=2^14, r=8, p=5 takes 16 MiB; one of the equivalent settings of OWASP's Password
# Storage Cheat Sheet.
METHOD = "scrypt:16384:8:5"
# One at a time: eight threads hashing at once would take 128 MiB of the container's 160.
_one_at_a_time = threading.Lock()


def hash_password(password: str) -> str:
    """Return a salted scrypt hash (about 160 characters); takes 16 MiB, some tenths of a second."""
    with _one_at_a_time:
        return generate_password_hash(password, method=METHOD)
