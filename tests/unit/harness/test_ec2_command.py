"""`./lab ec2`: the pasted block, and how the status is told."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import pytest

from ec2 import credentials, status

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VALUES = {
    "aws_access_key_id": "ASIAEXAMPLE",
    "aws_secret_access_key": "wJalr/K7+x=",
    "aws_session_token": "IQoJb3JpZ2luX2VjEJr//wEaCXVz==",
}
FILE = "[default]\n" + "".join(f"{name}={value}\n" for name, value in VALUES.items())
EXPORTS = "".join(f'export {name.upper()}="{value}"\n' for name, value in VALUES.items())
SPACED = "".join(f"  {name} = {value}\r\n" for name, value in VALUES.items())
WRAPPED = FILE.replace("EJr//", "EJr//\n")


@pytest.mark.parametrize("text", [FILE, EXPORTS, SPACED, WRAPPED])
def test_the_block_is_read_in_each_form(text: str) -> None:
    assert credentials.parse(text.splitlines()) == VALUES


def test_what_is_missing_is_named() -> None:
    with pytest.raises(credentials.PasteError, match="lacks aws_session_token"):
        credentials.parse(FILE.splitlines()[:-1])
    with pytest.raises(credentials.PasteError, match="AWS Details > AWS CLI > Show"):
        credentials.parse(["something else"])


def test_a_users_own_keys_need_no_token() -> None:
    lines = ["aws_access_key_id=AKIAEXAMPLE", "aws_secret_access_key=x"]
    assert credentials.parse(lines) == dict(line.split("=") for line in lines)


def test_on_a_terminal_an_empty_line_ends_it() -> None:
    def typed() -> Iterator[str]:
        yield from [*FILE.splitlines(), ""]
        pytest.fail("more was asked for")

    assert credentials.parse(typed(), stop=True) == VALUES


def test_the_file_is_the_owners_alone_and_keeps_other_profiles(tmp_path: Path) -> None:
    path = tmp_path / "state" / "credentials"
    credentials.keep(VALUES, "us-west-2", path)
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text(path.read_text() + "[work]\naws_access_key_id = AKIAWORK\n")
    credentials.keep({**VALUES, "aws_session_token": "new"}, "us-east-1", path)
    text = path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert "AKIAWORK" in text
    assert "aws_session_token = new" in text
    assert "region = us-east-1" in text
    assert "us-west-2" not in text


@pytest.mark.parametrize(
    ("minutes", "text"), [(0, "0 min"), (5, "5 min"), (185, "3 h 5 min"), (3060, "2 d 3 h")]
)
def test_how_long_it_runs(minutes: int, text: str) -> None:
    now = datetime.datetime(2026, 11, 24, 12, tzinfo=datetime.UTC)
    started = (now - datetime.timedelta(minutes=minutes)).isoformat()
    assert status.since(started, now) == text
