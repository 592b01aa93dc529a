"""The browser of the tests: the distribution's Chromium, installed where that is possible."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from evidence import browser

LOCK = Path(tempfile.gettempdir()) / "labstack-chromium.lock"


class BrowserError(RuntimeError):
    """There is no browser; the message says how to get one."""


def _found() -> str | None:
    try:
        return browser.executable()
    except FileNotFoundError as error:
        raise BrowserError(str(error)) from None


def _install() -> str:
    """Installs Debian's package; returns what apt said."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    said = ""
    for command in (
        ["update", "-qq"],
        ["install", "-qq", "-y", "--no-install-recommends", "chromium"],
    ):
        done = subprocess.run(
            # Another test may be installing something.
            ["apt-get", "-o", "DPkg::Lock::Timeout=120", *command],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        said += done.stdout[-1000:] + done.stderr[-1000:]
    return said


def executable() -> str:
    """Returns the path of a Chromium or Chrome.

    Raises:
        BrowserError: none is here, and none can be installed.
    """
    with LOCK.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path := _found():
            return path
        # Ubuntu's package of this name is an empty one that asks for a snap.
        said = _install() if os.geteuid() == 0 and shutil.which("apt-get") else ""
        if path := _found():
            return path
    raise BrowserError(
        "The tests of the pages need Chromium or Chrome, and neither is here.\n"
        "  Debian:  sudo apt-get install chromium\n"
        "  others:  install Chrome, or name a Chromium: LAB_CHROMIUM=/path/to/chromium ./lab test\n"
        + said
    )
