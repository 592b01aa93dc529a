"""Hashes of users' passwords, and how hard a password is to guess."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import zxcvbn
from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError
from werkzeug.security import check_password_hash

# argon2id with 19 MiB, two passes, one lane: OWASP's Password Storage Cheat Sheet. 30 ms on a
# current processor.
_hasher = PasswordHasher(
    time_cost=2, memory_cost=19 * 1024, parallelism=1, hash_len=32, salt_len=16, type=Type.ID
)
# Two at a time take 38 MiB of the container's 160, however many log in at once.
AT_ONCE = 2
# Seconds that one waits for its turn: some 300 others are in front then.
PATIENCE = 5.0
_turns = threading.BoundedSemaphore(AT_ONCE)
# zxcvbn's score (0 to 4) from which a password is taken, and how many characters it looks at.
STRONG = 3
GUESSED = 48
# What scrypt hashes of earlier releases begin with.
_SCRYPT = "scrypt:"


class BusyError(Exception):
    """Too many passwords are being checked at the same time."""


@contextmanager
def _turn() -> Iterator[None]:
    if not _turns.acquire(timeout=PATIENCE):
        raise BusyError
    try:
        yield
    finally:
        _turns.release()


def hash_password(password: str) -> str:
    """Return a salted argon2id hash (97 characters).

    Raises:
        BusyError: no turn came in PATIENCE seconds.
    """
    with _turn():
        return _hasher.hash(password)


def is_right(stored: str, password: str) -> bool:
    """Return whether the password is the one of the hash.

    Args:
        stored: an argon2id hash, or a scrypt hash of an earlier release.
        password: what somebody typed.

    Raises:
        BusyError: no turn came in PATIENCE seconds.
    """
    with _turn():
        if stored.startswith(_SCRYPT):
            return check_password_hash(stored, password)
        try:
            return _hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False


def is_weak(password: str, known: Iterable[str]) -> bool:
    """Return whether a guesser finds the password in fewer than some 100 million tries.

    Args:
        password: the one that somebody wants.
        known: what a guesser tries first: the account's name and address.
    """
    words = [word for text in known for word in (text, *text.replace("@", " ").split())]
    # What is hard to guess at its beginning is so with its end, and zxcvbn's time grows with the
    # square of the length.
    found: dict[str, int] = zxcvbn.zxcvbn(password[:GUESSED], user_inputs=words)
    return found["score"] < STRONG


def is_outdated(stored: str) -> bool:
    """Return whether the hash is weaker than the ones that are made now."""
    return stored.startswith(_SCRYPT) or _hasher.check_needs_rehash(stored)


# A hash that no password has, so that an unknown name takes as long as a wrong password.
NOBODY = _hasher.hash(secrets.token_hex())
