"""The credentials that a Learner Lab shows: read from a paste, kept in a private file."""

from __future__ import annotations

import configparser
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.running import KEPT_CREDENTIALS

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMES = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
DEFAULT_REGION = "us-east-1"  # a Learner Lab has this one and us-west-2
# Straight, and as word processors and chats make them.
_QUOTES = "\"'\u201c\u201d\u201e\u2018\u2019\u201a\u00ab\u00bb"
# As in a credentials file, and as `export` lines; the value ends at a space or a quote.
_LINE = re.compile(
    rf"(?:export\s+|set\s+|\$env:)?(aws_\w+)\s*[=:]\s*[{_QUOTES}]?([^\s{_QUOTES}]*)", re.IGNORECASE
)
_REMEDY = (
    "-> in the Learner Lab: AWS Details > AWS CLI > Show, copy the whole block, which begins with\n"
    "   [default]; then ./lab ec2 credentials"
)


class PasteError(click.ClickException):
    """The pasted text is not the block; the message says what is missing."""


def values(text: str) -> dict[str, str]:
    """Returns the values that a pasted text has, by their names; one may go on in the next line."""
    found: dict[str, str] = {}
    last = ""
    for line in text.splitlines():
        word = line.strip()
        match = _LINE.match(word)
        if match:
            last = match.group(1).lower()
            found[last] = match.group(2)
        elif last and re.fullmatch(rf"[A-Za-z0-9+/=]{{4,}}[{_QUOTES}]?", word):
            found[last] += word.rstrip(_QUOTES)
    return {name: found[name] for name in NAMES if found.get(name)}


def problems(found: Mapping[str, str]) -> list[str]:
    """Says what is missing in the values, or cannot be the whole of one.

    Lengths: the API reference of IAM has 16 to 128 characters for an access key's id; secrets have
    had 40 and tokens been Base64, whose length is a multiple of four, for as long as there are any.
    """
    wrong = [f"{name} is missing" for name in NAMES if name not in found]
    key = found.get("aws_access_key_id", "")
    secret = found.get("aws_secret_access_key", "")
    token = found.get("aws_session_token", "")
    # A user of IAM has keys without a token; they begin with AKIA.
    if wrong == ["aws_session_token is missing"] and key.startswith("AKIA"):
        wrong = []
    if key and not re.fullmatch(r"\w{16,128}", key, re.ASCII):
        wrong.append(f"aws_access_key_id is cut or mistyped ({len(key)} characters, usually 20)")
    if secret and not re.fullmatch(r"[A-Za-z0-9/+=]{40}", secret):
        wrong.append(f"aws_secret_access_key is cut or mistyped ({len(secret)} characters, not 40)")
    if token and (not re.fullmatch(r"[A-Za-z0-9/+]+={0,2}", token) or len(token) % 4):
        wrong.append(f"aws_session_token is cut or mistyped ({len(token)} characters)")
    return wrong


def parse(text: str) -> dict[str, str]:
    """Returns the values of a pasted block by their names. Raises PasteError: it is not whole."""
    found = values(text)
    wrong = problems(found)
    if wrong:
        raise PasteError(f"the pasted text is not the whole block: {'; '.join(wrong)}\n{_REMEDY}")
    return found


def target() -> Path:
    """The file to keep them in: AWS_SHARED_CREDENTIALS_FILE, or .lab/aws_credentials."""
    given = os.environ.get("AWS_SHARED_CREDENTIALS_FILE", "")
    return Path(given).expanduser() if given else KEPT_CREDENTIALS


def keep(found: Mapping[str, str], region: str, path: Path) -> None:
    """Writes the profile "default" of a credentials file, for its owner alone; others stay."""
    file = configparser.RawConfigParser(default_section="-")
    if path.exists():
        file.read(path, encoding="utf-8")
    file["default"] = {**found, "region": region}
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as new:
        file.write(new)
    beside.replace(path)
