"""The browser: the system's Chromium or Chrome, or Playwright's own."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

NAMES = ("chromium", "google-chrome-stable", "google-chrome", "chromium-browser")


def executable() -> str | None:
    """Returns the path of a Chromium or Chrome of the system; None where there is none.

    Raises:
        FileNotFoundError: LAB_CHROMIUM names a program that is not there.
    """
    if name := os.environ.get("LAB_CHROMIUM"):
        if not (path := shutil.which(name)):
            raise FileNotFoundError(f"LAB_CHROMIUM is {name!r}, and there is no such program.")
        return path
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def any_executable(own: str) -> str | None:
    """Returns the system's browser, or else Playwright's own where that has been installed.

    Args:
        own: where Playwright would have it (`playwright.chromium.executable_path`).
    """
    return executable() or (own if Path(own).exists() else None)
