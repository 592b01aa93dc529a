"""Hashes."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from werkzeug.security import generate_password_hash

from webapp import passwords


def test_a_password_fits_its_own_hash_alone() -> None:
    stored = passwords.hash_password("contraseña 🌻")
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert len(stored) <= 255
    assert passwords.is_right(stored, "contraseña 🌻")
    assert not passwords.is_right(stored, "contrasena 🌻")
    assert not passwords.is_right("no hash", "x")
    assert not passwords.is_outdated(stored)


def test_the_hash_of_an_earlier_release_is_taken() -> None:
    stored = generate_password_hash("correct horse", method="scrypt:16384:8:5")
    assert passwords.is_right(stored, "correct horse")
    assert not passwords.is_right(stored, "wrong horse")
    assert passwords.is_outdated(stored)


def test_never_more_hashes_at_once_than_memory_is_for(monkeypatch: pytest.MonkeyPatch) -> None:
    entered = threading.Barrier(passwords.AT_ONCE + 1, timeout=10)
    leave = threading.Event()

    class Hasher:
        def hash(self, _: str) -> str:
            entered.wait()
            leave.wait(10)
            return "hash"

    monkeypatch.setattr(passwords, "_hasher", Hasher())
    with ThreadPoolExecutor(passwords.AT_ONCE) as pool:
        hashes = pool.map(passwords.hash_password, ["x"] * passwords.AT_ONCE)
        entered.wait()
        # As many as may are hashing; one more does not come in.
        monkeypatch.setattr(passwords, "PATIENCE", 0.01)
        with pytest.raises(passwords.BusyError):
            passwords.hash_password("x")
        leave.set()
        assert list(hashes) == ["hash"] * passwords.AT_ONCE


def test_who_waits_too_long_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "PATIENCE", 0.01)
    turns = threading.BoundedSemaphore(1)
    turns.acquire()
    monkeypatch.setattr(passwords, "_turns", turns)
    with pytest.raises(passwords.BusyError):
        passwords.hash_password("x")
