"""Reads a pasted block from a terminal: it ends by itself, and nothing of it is shown."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty

import click

from cli import credentials

# Seconds without a character after which a paste has ended; a slow connection pauses for less.
QUIET = 0.5
END = b"\x04"  # Ctrl-D


def read() -> str:
    """Returns what is pasted, as soon as it is whole or somebody gives up."""
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    # Character by character: the last line of a paste seldom ends, and lines may be long. What
    # was typed ahead counts.
    tty.setcbreak(terminal, termios.TCSANOW)
    try:
        click.echo("Paste the block (it begins with [default]); nothing of it is shown:")
        return _collect(terminal)
    finally:
        termios.tcsetattr(terminal, termios.TCSANOW, before)


def _collect(terminal: int) -> str:
    text, told = "", ""
    while True:
        if select.select([terminal], [], [], QUIET if text.strip() and not told else None)[0]:
            chunk = os.read(terminal, 1 << 16)
            if not chunk or END in chunk or (told and not chunk.strip()):
                return text
            text, told = text + chunk.decode(errors="replace").replace("\r", "\n"), ""
            continue
        wrong = credentials.problems(credentials.values(text))
        # An empty line ends the block, whole or not.
        if not wrong or text.endswith("\n\n"):
            return text
        told = f"Not whole yet: {'; '.join(wrong)}."
        click.echo(f"{told}\nPaste the rest, or all of it again; Enter gives up.")
        # What comes next is not the end of a line that was cut.
        text += "\n"
