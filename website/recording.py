"""`./lab run python -m website.recording`: records a day at the terminal, for the site's player.

Each command is really run, in a terminal of 80 columns; the recording is what it printed. A pause
of more than 0.4 seconds becomes one of 0.4, so the player's clock is not the run's. No password is
in it: each is struck out.
"""

from __future__ import annotations

import codecs
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING

from website.pages import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

CAST = ROOT / "website" / "assets" / "recording" / "day.cast"
COLUMNS, ROWS = 80, 24
# What README's first section types, with a release in between; from no host to none again.
DAY = (
    "./lab up",
    "./lab open --print",
    "./lab passwords",
    "./lab status",
    "./lab deploy",
    "./lab releases",
    "./lab logs apache prometheus -n 8",
    "./lab up",
    "./lab down",
)
LONGEST = 0.4  # seconds of a pause; a day is about two minutes then
KEY = 0.06  # seconds for a key that is pressed
# Ansible warns once a host that it has made root's folder for its own files.
_NOISE = re.compile(r"[^\r\n]*Module remote_tmp [^\r\n]*\r\n")
_SECRET = re.compile(r"\b[A-Za-z0-9]{32}\b")


def output(command: str) -> Iterator[tuple[float, str]]:
    """Runs a command in a terminal and yields what it prints, each with the time since before."""
    main, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": str(COLUMNS)}
    process = subprocess.Popen(
        ["/bin/sh", "-c", command],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=terminal,
        stderr=terminal,
        env=environment,
        start_new_session=True,
    )
    os.close(terminal)
    decode, before = codecs.getincrementaldecoder("utf-8")("replace").decode, time.monotonic()
    while True:
        try:
            chunk = os.read(main, 65536)
        except OSError:
            # The last one has closed the terminal.
            break
        if not chunk:
            break
        now = time.monotonic()
        yield now - before, decode(chunk)
        before = now
    os.close(main)
    if process.wait() != 0:
        raise RuntimeError(f"{command}: exit status {process.returncode}")


def events(commands: tuple[str, ...]) -> Iterator[tuple[float, str]]:
    """Yields the day: prompts, keys and what the commands print, with the pauses before them."""
    for command in commands:
        yield LONGEST, "\x1b[1;32m$\x1b[0m "
        for key in command:
            yield KEY, key
        yield LONGEST, "\r\n"
        for pause, text in output(command):
            # Passwords come in one piece, because the whole table is one write.
            yield min(pause, LONGEST), _SECRET.sub("*" * 32, _NOISE.sub("", text))
    yield LONGEST, "\x1b[1;32m$\x1b[0m "


def main() -> int:
    """Writes the recording; returns the exit status."""
    head = {"version": 2, "width": COLUMNS, "height": ROWS, "title": "labstack"}
    lines, clock = [json.dumps(head)], 0.0
    for pause, text in events(tuple(sys.argv[1:]) or DAY):
        clock += pause
        lines.append(json.dumps([round(clock, 2), "o", text], ensure_ascii=False))
    CAST.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{CAST}: {clock:.0f} s, {CAST.stat().st_size // 1000} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
