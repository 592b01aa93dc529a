"""A report with a secret in it is not written."""

from __future__ import annotations

import base64
import html
import json
from pathlib import Path
from urllib.parse import quote

import pytest

from evidence import guard

SECRET = 'p"ss&wörd/of 1 host'


def basic(user: str) -> str:
    return base64.b64encode(f"{user}:{SECRET}".encode()).decode()


@pytest.mark.parametrize(
    "shape",
    [
        SECRET,
        html.escape(SECRET),
        json.dumps(SECRET),
        quote(SECRET, safe=""),
        *(basic(user) for user in ("a", "ab", "abc", "admin")),
    ],
)
def test_a_secret_is_found_in_each_disguise(shape: str, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "report.html").write_text(f'<img alt="{shape}">', encoding="utf-8")
    with pytest.raises(guard.SecretFoundError, match=r"report\.html would have") as caught:
        guard.check(tmp_path, ["other-secret", SECRET])
    assert SECRET not in str(caught.value)


def test_what_has_none_passes(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("nothing to hide", encoding="utf-8")
    (tmp_path / "picture.png").write_bytes(bytes(range(256)))
    guard.check(tmp_path, [SECRET, ""])


def test_an_empty_secret_is_in_no_text() -> None:
    assert not guard.found_in("any text", ["", "a"])
