"""The filter bcrypt_hash."""

from __future__ import annotations

import bcrypt
import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.labstack.stack.plugins.filter.bcrypt_hash import FilterModule, bcrypt_hash


def test_the_hash_fits_the_password() -> None:
    result = bcrypt_hash("correct horse", "salt secret", rounds=4)
    assert bcrypt.checkpw(b"correct horse", result.encode())
    assert not bcrypt.checkpw(b"wrong horse", result.encode())


def test_the_same_values_give_the_same_hash() -> None:
    assert bcrypt_hash("p", "s", rounds=4) == bcrypt_hash("p", "s", rounds=4)


def test_another_salt_secret_gives_another_hash() -> None:
    assert bcrypt_hash("p", "s", rounds=4) != bcrypt_hash("p", "t", rounds=4)


def test_the_cost_is_10_unless_another_is_asked_for() -> None:
    assert bcrypt_hash("p", "s").startswith("$2b$04$")
    assert bcrypt_hash("p", "s", rounds=5).startswith("$2b$05$")


def test_the_salt_is_16_bytes_of_the_secrets_sha256() -> None:
    # From: printf s | sha256sum
    assert bcrypt_hash("p", "s", rounds=4)[7:29] == encoded("043a718774c572bd8a25adbeb1bfcd5c")


def encoded(digits: str) -> str:
    """Encode 16 bytes with bcrypt's alphabet, bit by bit."""
    bits = "".join(f"{byte:08b}" for byte in bytes.fromhex(digits))
    alphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    return "".join(alphabet[int(bits[i : i + 6].ljust(6, "0"), 2)] for i in range(0, 128, 6))


@pytest.mark.parametrize("salt_secret", [f"secret {number}" for number in range(20)])
def test_any_salt_secret_gives_a_hash_that_fits(salt_secret: str) -> None:
    result = bcrypt_hash("p", salt_secret, rounds=4)
    assert len(result) == 60
    assert bcrypt.checkpw(b"p", result.encode())


def test_a_password_of_72_bytes_is_taken() -> None:
    assert bcrypt_hash("é" * 36, "s", rounds=4)


@pytest.mark.parametrize(
    ("password", "salt_secret", "rounds", "words"),
    [
        ("", "s", 4, "password is empty"),
        ("p", "", 4, "salt_secret is empty"),
        (None, "s", 4, "password is empty or no text"),
        ("é" * 37, "s", 4, "74 bytes, bcrypt takes at most 72"),
        ("p", "s", 3, "4 to 31, not 3"),
        ("p", "s", 32, "4 to 31, not 32"),
    ],
)
def test_values_that_cannot_work_are_refused(
    password: str, salt_secret: str, rounds: int, words: str
) -> None:
    with pytest.raises(AnsibleFilterError, match=words) as error:
        bcrypt_hash(password, salt_secret, rounds)
    assert "é" not in str(error.value)


def test_ansible_finds_the_filter() -> None:
    assert FilterModule().filters() == {"bcrypt_hash": bcrypt_hash}
