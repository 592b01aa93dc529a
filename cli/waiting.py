"""A step that takes its time and says nothing: shown as a line that goes on."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from typing import TextIO

TICK = 1.0  # seconds between two looks at the clock
DOT = 4.0  # seconds between two dots in a pipe


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}"


def _go_on(text: str, stream: TextIO, began: float, ended: threading.Event) -> None:
    dotted = began
    while not ended.wait(TICK):
        now = time.monotonic()
        if stream.isatty():
            stream.write(f"\r{text} ... {_clock(now - began)}\x1b[K")
        elif now - dotted >= DOT:
            dotted = now
            stream.write(".")
        stream.flush()


@contextlib.contextmanager
def waiting(text: str, stream: TextIO | None = None) -> Iterator[None]:
    """Shows a step: in a terminal with the time so far, in a pipe with a dot every few seconds.

    Args:
        text: what is done, such as "testbed: building an image".
        stream: where it is shown; standard output by default.
    """
    stream = stream or sys.stdout
    began, ended = time.monotonic(), threading.Event()
    stream.write(f"{text} ...")
    stream.flush()
    thread = threading.Thread(target=_go_on, args=(text, stream, began, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        spent = time.monotonic() - began
        if stream.isatty():
            stream.write(f"\r{text} ...\x1b[K")
        stream.write(f" {spent:.0f} s\n")
        stream.flush()
