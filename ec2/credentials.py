"""The credentials that a Learner Lab shows: read from a paste, kept in a file of one's own."""

from __future__ import annotations

import configparser
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

KEPT = Path(__file__).resolve().parent.parent / ".lab" / "aws_credentials"
NAMES = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
DEFAULT_REGION = "us-east-1"  # a Learner Lab has this one and us-west-2
# As in a credentials file, and as `export` lines; the value ends at a space or a quote.
_LINE = re.compile(
    r"""(?:export\s+|set\s+|\$env:)?(aws_\w+)\s*[=:]\s*["']?([^\s"']+)""", re.IGNORECASE
)


class PasteError(ValueError):
    """The pasted text is not the block; the message says what is missing."""


def parse(lines: Iterable[str], *, stop: bool = False) -> dict[str, str]:
    """Returns the three values of a pasted block by their names.

    Args:
        lines: what was pasted. A value that goes on in the next line is joined.
        stop: do not ask for more lines once all three are there.

    Raises:
        PasteError: a value is missing.
    """
    found: dict[str, str] = {}
    last = ""
    for line in lines:
        text = line.strip()
        match = _LINE.match(text)
        if match:
            last = match.group(1).lower()
            found[last] = match.group(2)
        elif last and re.fullmatch(r"[A-Za-z0-9+/=]{4,}", text):
            found[last] += text
        if stop and not text and all(name in found for name in NAMES):
            break
    missing = [name for name in NAMES if name not in found]
    # A user of IAM has keys without a token; they begin with AKIA.
    if missing == ["aws_session_token"] and found["aws_access_key_id"].startswith("AKIA"):
        missing = []
    if missing:
        raise PasteError(
            f"the pasted text lacks {', '.join(missing)}.\n"
            "-> in the Learner Lab: AWS Details > AWS CLI > Show, copy the whole block, which "
            "begins with [default]; then ./lab ec2 credentials"
        )
    return {name: found[name] for name in NAMES if name in found}


def target() -> Path:
    """The file to keep them in: AWS_SHARED_CREDENTIALS_FILE, or .lab/aws_credentials."""
    given = os.environ.get("AWS_SHARED_CREDENTIALS_FILE", "")
    return Path(given).expanduser() if given else KEPT


def keep(values: dict[str, str], region: str, path: Path) -> None:
    """Writes the profile "default" of a credentials file, for its owner alone; others stay."""
    file = configparser.RawConfigParser(default_section="-")
    if path.exists():
        file.read(path, encoding="utf-8")
    file["default"] = {**values, "region": region}
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as new:
        file.write(new)
    beside.replace(path)
