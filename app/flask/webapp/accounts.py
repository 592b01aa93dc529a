"""Who somebody is: a name and a password against the table of users, and not too often wrong."""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

from flask import Flask, current_app
from sqlalchemy import select, update
from sqlalchemy.orm import Session, undefer

from webapp import db, logs, passwords
from webapp.models import Token, User

ADMIN_NAME = "admin"

# Wrong passwords for one account from one address, and from one address for any account, in so
# many seconds. Who waits them out may try again: 20 guesses a minute are too few for a guesser
# and a short wait for somebody who mistyped. The account itself is never locked, so nobody
# locks another one out from elsewhere.
TRIES = 5
TRIES_OF_ADDRESS = 20
WINDOW = 60.0
# Seconds for which a name and password that were right once are taken without a new hash, and how
# many such pairs are remembered.
REMEMBERED = 60.0
REMEMBERED_PAIRS = 256
# How many addresses are remembered. 100 bytes each.
WATCHED = 10_000

logger = logs.logger("webapp.accounts")


class TooManyTriesError(Exception):
    """Too many wrong passwords.

    Attributes:
        wait: seconds until the next try.
    """

    def __init__(self, wait: int) -> None:
        """Remember the wait."""
        super().__init__(f"too many tries; wait {wait} s")
        self.wait = wait


class Tries:
    """Counts tries by key in a sliding window of WINDOW seconds; safe for threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with nothing.

        Args:
            clock: seconds.
        """
        self._clock = clock
        self._lock = threading.Lock()
        self._tries: OrderedDict[Hashable, deque[float]] = OrderedDict()

    def begin(self, limits: dict[Hashable, int]) -> float:
        """Count a try under each key before it is known how it ends, so that none slips through.

        Args:
            limits: the most tries of each key.

        Returns:
            The try's time, for `forget`.

        Raises:
            TooManyTriesError: a key has had them all; the try is not counted then.
        """
        with self._lock:
            now = self._clock()
            wait = 0.0
            for key, limit in limits.items():
                tries = self._tries.get(key, deque())
                while tries and tries[0] <= now - WINDOW:
                    tries.popleft()
                if len(tries) >= limit:
                    wait = max(wait, tries[-limit] + WINDOW - now)
            if wait:
                raise TooManyTriesError(math.ceil(wait))
            for key in limits:
                self._tries.setdefault(key, deque()).append(now)
                self._tries.move_to_end(key)
            while len(self._tries) > WATCHED:
                self._tries.popitem(last=False)
            return now

    def forget(self, limits: dict[Hashable, int], began: float) -> None:
        """Take a try back that ended well."""
        with self._lock:
            for key in limits:
                tries = self._tries.get(key)
                if tries and began in tries:
                    tries.remove(began)


class Remembered:
    """Name and password pairs that were right a moment ago; safe for threads.

    HTTP Basic sends the password with each request, and a hash for each would take all of the
    processor. Only a keyed digest is kept, with a key that lives as long as the process. The
    stored hash is part of it, so a changed password is forgotten at once.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with nothing.

        Args:
            clock: seconds.
        """
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._until: OrderedDict[bytes, float] = OrderedDict()
        # A lock for each pair that is being looked at, and how many are there for it.
        self._turns: dict[bytes, tuple[threading.Lock, int]] = {}

    @contextmanager
    def turn(self, stored: str, password: str) -> Iterator[None]:
        """Let one request at a time look at a pair; the others know the answer when it is theirs.

        A process that has just started remembers nobody: a busy client's first requests would all
        be hashed, and counted as tries, at the same time.

        Raises:
            webapp.passwords.BusyError: no turn came in time.
        """
        digest = self._digest(stored, password)
        with self._lock:
            lock, there = self._turns.get(digest, (threading.Lock(), 0))
            self._turns[digest] = (lock, there + 1)
        try:
            if not lock.acquire(timeout=passwords.PATIENCE):
                raise passwords.BusyError
            try:
                yield
            finally:
                lock.release()
        finally:
            with self._lock:
                lock, there = self._turns.pop(digest)
                if there > 1:
                    self._turns[digest] = (lock, there - 1)

    def _digest(self, stored: str, password: str) -> bytes:
        # The stored hash has no NUL, so the border between the two is certain.
        content = f"{stored}\0{password}".encode(errors="replace")
        return hmac.digest(self._key, content, hashlib.sha256)

    def knows(self, stored: str, password: str) -> bool:
        """Return whether this pair was right less than REMEMBERED seconds ago."""
        with self._lock:
            return self._until.get(self._digest(stored, password), 0.0) > self._clock()

    def learn(self, stored: str, password: str) -> None:
        """Remember that this pair is right."""
        with self._lock:
            digest = self._digest(stored, password)
            self._until[digest] = self._clock() + REMEMBERED
            self._until.move_to_end(digest)
            while len(self._until) > REMEMBERED_PAIRS:
                self._until.popitem(last=False)


def init_app(app: Flask) -> None:
    """Give the application its memory of tries and of right passwords."""
    app.extensions["tries"] = Tries()
    app.extensions["remembered"] = Remembered()


def find(username: str) -> User | None:
    """Return the account with its hash, or None."""
    with db.reading() as connection, Session(connection) as session:
        return session.scalar(
            select(User).where(User.username == username).options(undefer(User.password))
        )


def by_token(token: str) -> User | None:
    """Return the account of an API token, or None."""
    wanted = select(User).join(Token, Token.user_id == User.id).where(Token.digest == digest(token))
    with db.reading() as connection, Session(connection) as session:
        return session.scalar(wanted)


def digest(secret: str) -> bytes:
    """Return what is stored of a random secret that no guess finds: its SHA-256, without a salt."""
    return hashlib.sha256(secret.encode(errors="replace")).digest()


def check(username: str, password: str, address: str, *, remember: bool = False) -> User | None:
    """Return the account of this name and password, or None.

    Args:
        username: the account's name.
        password: what was typed.
        address: where the request comes from.
        remember: whether a pair that was right a moment ago is taken without a new hash.

    Raises:
        TooManyTriesError: too many were wrong; this one was not looked at.
        webapp.passwords.BusyError: too many passwords are being checked.
        webapp.db.DatabaseUnavailableError: see there.
    """
    # Neither fits the table; MySQL need not be asked.
    known = 0 < len(username) <= 50 and len(password) <= 1024
    user = find(username) if known else None
    remembered: Remembered = current_app.extensions["remembered"]
    if not (remember and user):
        return _look(user, username, password, address)
    if remembered.knows(user.password, password):
        return user
    with remembered.turn(user.password, password):
        if remembered.knows(user.password, password):
            return user
        found = _look(user, username, password, address)
        if found:
            remembered.learn(found.password, password)
        return found


def _look(user: User | None, username: str, password: str, address: str) -> User | None:
    """Count a try, and compare the password with the account's hash; see `check`."""
    tries: Tries = current_app.extensions["tries"]
    # By the account, where there is one: MySQL finds it by other spellings of its name, too.
    account: int | str = user.id if user else username.casefold()[:50]
    limits: dict[Hashable, int] = {(address, account): TRIES, address: TRIES_OF_ADDRESS}
    # Never what was typed: somebody may have typed the password there.
    who = {"address": address, "user": user.id if user else None}
    try:
        began = tries.begin(limits)
    except TooManyTriesError as error:
        logger.warning("A login was refused for %d s: too many wrong ones.", error.wait, extra=who)
        raise
    stored = user.password if user else passwords.NOBODY
    try:
        right = passwords.is_right(stored, password[:1024])
    except passwords.BusyError:
        # Nobody has looked at it.
        tries.forget(limits, began)
        raise
    if not right or not user:
        logger.warning("A login failed.", extra=who)
        return None
    tries.forget(limits, began)
    if passwords.is_outdated(stored):
        user = _rehashed(user, password)
    return user


def _rehashed(user: User, password: str) -> User:
    """Store the password's hash as hashes are made now."""
    made = passwords.hash_password(password)
    with db.session() as session:
        # Unless somebody has changed it in the meantime. The account itself is as it was: its
        # version stays.
        same = (User.id == user.id, User.password == user.password)
        session.execute(update(User).where(*same).values(password=made, updated_at=User.updated_at))
    user.password = made
    return user
