"""No secret leaves in a report: what is written is searched for every secret of the host."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

# Shorter texts would be found everywhere; the stack's own secrets have 20 characters or more.
SHORTEST = 6


class SecretFoundError(Exception):
    """A file of the report has a secret in it; the message says which file, not which secret."""


def disguises(secret: str) -> set[str]:
    """Returns a secret as it may stand in a text: plain, or encoded for JSON, HTML, URL, Base64."""
    raw = secret.encode()
    # Base64 of "name:secret" begins wherever the name ends; these are the three alignments.
    inner = {
        base64.b64encode(b"\0" * shift + raw).decode()[4 if shift else 0 :].rstrip("=")[:-1]
        for shift in range(3)
    }
    return {
        secret,
        json.dumps(secret)[1:-1],
        html.escape(secret),
        quote(secret, safe=""),
        *(text for text in inner if len(text) >= SHORTEST),
    }


def found_in(text: str, secrets: Iterable[str]) -> bool:
    """Returns whether a text has one of the secrets, in whichever disguise."""
    return any(
        shape in text
        for secret in secrets
        if len(secret) >= SHORTEST
        for shape in disguises(secret)
    )


def text_of(path: Path) -> str:
    """Returns what can be read in a file: a PDF's text, otherwise its bytes as characters."""
    if path.suffix == ".pdf":
        from pypdf import PdfReader  # noqa: PLC0415 - a report without a PDF needs none

        text = "\n".join(page.extract_text() for page in PdfReader(path).pages)
        # A line of the page may end in the middle of a word.
        return text + "".join(text.split())
    return path.read_bytes().decode("utf-8", errors="replace")


def check(folder: Path, secrets: Iterable[str]) -> None:
    """Searches all files of a folder. Raises SecretFoundError."""
    known = list(secrets)
    for path in sorted(folder.rglob("*")):
        if path.is_file() and found_in(text_of(path), known):
            raise SecretFoundError(
                f"{path.name} would have a secret of the host in it, so no report was written.\n"
                "   -> tell the project: this is a fault of the folder evidence/"
            )
