"""Filter `bcrypt_hash`: the same password and salt always give the same bcrypt hash."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable

from ansible.errors import AnsibleFilterError

try:
    import bcrypt
except ImportError:  # said where it is needed, so that the documentation can be read without it
    bcrypt = None  # type: ignore[assignment]

DOCUMENTATION = r"""
name: bcrypt_hash
short_description: hash a password with bcrypt, reproducibly
version_added: "0.1.0"
author: labstack (@labstack)
description:
  - Returns the C($2b$) bcrypt hash of a password, as the web configuration of Prometheus and its
    exporters wants it.
  - The salt is derived from a second secret. A random salt would give another hash, and so a
    changed file and a restarted service, on every run.
positional: salt_secret, rounds
options:
  _input:
    description: The password, at most 72 bytes in UTF-8.
    type: str
    required: true
  salt_secret:
    description:
      - A secret that stays the same between runs. The salt is the first 16 bytes of its SHA-256.
    type: str
    required: true
  rounds:
    description:
      - Cost, as the logarithm to the base 2 of the number of rounds (4 to 31). The least is enough
        for a long random password, and each wrong one costs the service that much time.
    type: int
    default: 4
"""

EXAMPLES = r"""
# $2b$04$... , the same on every run
hash: "{{ monitoring_password | labstack.stack.bcrypt_hash(monitoring_salt) }}"
"""

RETURN = r"""
_value:
  description: The hash, 60 characters.
  type: str
"""

_STANDARD_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_BCRYPT_ALPHABET = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
# bcrypt ignores, and the library refuses, what comes after.
_MAX_PASSWORD_BYTES = 72


def bcrypt_hash(password: str, salt_secret: str, rounds: int = 4) -> str:
    """Return the bcrypt hash of `password` with a salt derived from `salt_secret`.

    Raises AnsibleFilterError where a value is empty, too long or out of range; the message never
    contains a value.
    """
    if bcrypt is None:
        raise AnsibleFilterError(
            "bcrypt_hash needs the library bcrypt on the controller. Type: pip install bcrypt"
        )
    for name, value in (("password", password), ("salt_secret", salt_secret)):
        if not isinstance(value, str) or not value:
            raise AnsibleFilterError(
                f"bcrypt_hash: the {name} is empty or no text. "
                "Use it as: password | labstack.stack.bcrypt_hash(salt_secret)"
            )
    if not 4 <= rounds <= 31:
        raise AnsibleFilterError(f"bcrypt_hash: rounds must be 4 to 31, not {rounds}")
    secret = password.encode()
    if len(secret) > _MAX_PASSWORD_BYTES:
        raise AnsibleFilterError(
            f"bcrypt_hash: the password has {len(secret)} bytes, "
            f"bcrypt takes at most {_MAX_PASSWORD_BYTES}: choose a shorter one"
        )
    salt = hashlib.sha256(salt_secret.encode()).digest()[:16]
    # bcrypt's own base64: another alphabet, no padding, 16 bytes in 22 characters.
    encoded = base64.b64encode(salt)[:22].translate(
        bytes.maketrans(_STANDARD_ALPHABET, _BCRYPT_ALPHABET)
    )
    return bcrypt.hashpw(secret, b"$2b$%02d$%s" % (rounds, encoded)).decode()


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Return the filters of this file by name."""
        return {"bcrypt_hash": bcrypt_hash}
