"""`./lab ec2 credentials`: which pasted block is whole, and what is kept."""

from __future__ import annotations

import configparser
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import pytest

from cli import aws, credentials
from cli.running import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

VALUES = {
    "aws_access_key_id": "ASIAIOSFODNN7EXAMPLE",
    "aws_secret_access_key": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    "aws_session_token": "IQoJb3JpZ2luX2VjEJr//wEaCXVzLXdlc3QtMiJHMEUCIQDexample==",
}
FILE = "[default]\n" + "".join(f"{name}={value}\n" for name, value in VALUES.items())
EXPORTS = "".join(f'export {name.upper()}="{value}"\n' for name, value in VALUES.items())
SPACED = "".join(f"  {name} = {value}\r\n" for name, value in VALUES.items())
WRAPPED = FILE.replace("EJr//", "EJr//\n")
SMART = "".join(f"{name}=\u201c{value}\u201d\n" for name, value in VALUES.items())


@pytest.mark.parametrize("text", [FILE, EXPORTS, SPACED, WRAPPED, SMART, FILE.rstrip()])
def test_the_block_is_read_in_each_form(text: str) -> None:
    assert credentials.parse(text) == VALUES


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (FILE[: FILE.index("aws_session")], "aws_session_token is missing"),
        (FILE.replace("aws_access_key_id", "key"), "aws_access_key_id is missing"),
        ("something else", "aws_access_key_id is missing; aws_secret_access_key is missing"),
        (FILE.rstrip("=\n"), "aws_session_token is cut or mistyped"),
        (FILE[:-8], "aws_session_token is cut or mistyped"),
        (FILE.replace("IQoJb3", "IQ\u2026"), "aws_session_token is cut or mistyped"),
        (FILE.replace("wJalr", ""), "aws_secret_access_key is cut or mistyped (35 characters"),
        (FILE.replace("ASIAIOSFODNN7EXAMPLE", "ASIAIOS"), "aws_access_key_id is cut or mistyped"),
    ],
)
def test_what_is_not_whole_is_named(text: str, named: str) -> None:
    with pytest.raises(credentials.PasteError, match=re.escape(named)) as refused:
        credentials.parse(text)
    assert "AWS Details > AWS CLI > Show" in refused.value.message


def test_a_users_own_keys_need_no_token() -> None:
    own = {
        "aws_access_key_id": "AKIAIOSFODNN7EXAMPLE",
        "aws_secret_access_key": VALUES["aws_secret_access_key"],
    }
    assert credentials.parse("".join(f"{name}={value}\n" for name, value in own.items())) == own


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


class Terminal:
    """`python -m cli ec2 credentials` on a terminal of its own.

    Attributes:
        said: what it has said so far.
        process: the program.
    """

    def __init__(self, kept: Path, *arguments: str, endpoint: str) -> None:
        """Starts it; `kept` is where it is to keep the credentials."""
        self.ours, theirs = pty.openpty()
        names = ("AWS_", "EC2_")
        plain = {name: text for name, text in os.environ.items() if not name.startswith(names)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cli", "ec2", "credentials", *arguments],
            cwd=ROOT,
            env=plain | {"AWS_SHARED_CREDENTIALS_FILE": str(kept), "AWS_ENDPOINT_URL": endpoint},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=_take_terminal,  # noqa: PLW1509 - the child alone; Ctrl-C needs it
        )
        os.close(theirs)
        self.said = ""
        self.changed = threading.Condition()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                chunk = os.read(self.ours, 4096)
            except OSError:  # the program has ended
                return
            with self.changed:
                self.said += chunk.decode()
                self.changed.notify_all()

    def type(self, text: str) -> None:
        os.write(self.ours, text.encode())

    def wait_for(self, words: str) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: words in self.said, timeout=30), self.said


def _take_terminal() -> None:
    import fcntl  # noqa: PLC0415 - in the child
    import termios  # noqa: PLC0415 - in the child

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    # Who runs the tests in the background may have it ignored.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """A stand-in for AWS that answers STS and EC2."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - takes a second

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def test_a_paste_ends_by_itself_and_is_not_shown(tmp_path: Path, endpoint: str) -> None:
    """The block has no end of line, and nobody types Enter."""
    terminal = Terminal(tmp_path / "kept", endpoint=endpoint)
    terminal.wait_for("Paste the block")
    terminal.type(FILE.rstrip())
    terminal.wait_for("AWS takes them: account 123456789012")
    assert terminal.process.wait(timeout=30) == 0
    kept = configparser.RawConfigParser()
    kept.read(tmp_path / "kept")
    assert dict(kept["default"]) == {**VALUES, "region": "us-east-1"}
    assert VALUES["aws_session_token"] not in terminal.said


def test_an_incomplete_paste_is_told_and_can_be_completed(tmp_path: Path, endpoint: str) -> None:
    terminal = Terminal(tmp_path / "kept", endpoint=endpoint)
    terminal.wait_for("Paste the block")
    terminal.type(FILE[:-8])
    terminal.wait_for("Not whole yet: aws_session_token is cut or mistyped")
    terminal.type(FILE.rstrip())
    assert terminal.process.wait(timeout=30) == 0
    assert VALUES["aws_session_token"] in (tmp_path / "kept").read_text()


@pytest.mark.parametrize("ending", ["\n", "\x04"])
def test_somebody_gives_up(tmp_path: Path, endpoint: str, ending: str) -> None:
    terminal = Terminal(tmp_path / "kept", endpoint=endpoint)
    terminal.wait_for("Paste the block")
    terminal.type(FILE[: FILE.index("aws_session")])
    terminal.wait_for("Not whole yet: aws_session_token is missing")
    terminal.type(ending)
    terminal.wait_for("not the whole block: aws_session_token is missing")
    assert terminal.process.wait(timeout=30) == 1
    assert not (tmp_path / "kept").exists()


def test_ctrl_c_is_quiet(tmp_path: Path, endpoint: str) -> None:
    terminal = Terminal(tmp_path / "kept", endpoint=endpoint)
    terminal.wait_for("Paste the block")
    terminal.type("\x03")
    assert terminal.process.wait(timeout=30) == 130
    assert "Traceback" not in terminal.said
    assert not (tmp_path / "kept").exists()


def test_a_mistyped_region_is_one_line_and_the_right_one(tmp_path: Path, endpoint: str) -> None:
    terminal = Terminal(tmp_path / "kept", "us-esat-1", endpoint=endpoint)
    terminal.wait_for("-> ./lab ec2 credentials us-east-1")
    assert terminal.process.wait(timeout=30) == 1
    assert "AWS has no region 'us-esat-1'" in terminal.said
    assert len(terminal.said.splitlines()) == 2, terminal.said


def test_nobody_answers_and_they_are_kept(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path / "kept", endpoint="http://127.0.0.1:9")
    terminal.wait_for("Paste the block")
    terminal.type(FILE.rstrip())
    terminal.wait_for("AWS could not be asked whether they work")
    assert terminal.process.wait(timeout=60) == 0
    assert (tmp_path / "kept").exists()


def test_what_aws_refuses_is_explained() -> None:
    import botocore.exceptions  # noqa: PLC0415 - beside its only use
    import click  # noqa: PLC0415 - as above

    error = {"Error": {"Code": "InvalidClientTokenId", "Message": "The security token is invalid"}}
    refusal = botocore.exceptions.ClientError(error, "GetCallerIdentity")
    with mock.patch("boto3.session.Session") as session:
        session.return_value.client.return_value.get_caller_identity.side_effect = refusal
        with pytest.raises(click.ClickException, match="AWS does not know these credentials"):
            aws.who(VALUES, "us-east-1")
