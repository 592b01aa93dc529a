"""A step that says nothing goes on visibly: in a terminal, and in a pipe."""

from __future__ import annotations

import io
import re

import pytest

from cli import waiting
from tests.ask import wait_until


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "TICK", 0.01)
    monkeypatch.setattr(waiting, "DOT", 0.02)


def test_a_pipe_gets_dots_and_no_escapes() -> None:
    pipe = io.StringIO()
    with waiting.waiting("lab: building", pipe):
        wait_until(lambda: pipe.getvalue().count(".") > 4, 10)
    assert re.fullmatch(r"lab: building \.{5,} \d+ s\n", pipe.getvalue())


def test_a_terminal_shows_the_time_in_the_same_line() -> None:
    terminal = Terminal()
    with waiting.waiting("lab: building", terminal):
        wait_until(lambda: terminal.getvalue().count("\r") > 1, 10)
    assert "\rlab: building ... 0:00\x1b[K" in terminal.getvalue()
    assert terminal.getvalue().endswith("\rlab: building ...\x1b[K 0 s\n")


def test_a_step_that_fails_ends_its_line() -> None:
    pipe = io.StringIO()
    with pytest.raises(OSError, match="full"), waiting.waiting("lab: building", pipe):
        raise OSError("full")
    assert pipe.getvalue().endswith(" s\n")
