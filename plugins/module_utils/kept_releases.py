"""Which releases of an application have served, and when (release_directory, deployment).

Below the application's directory: `releases/NAME`, the link `current`, and `served/NAME`, an empty
file whose time is that of the release's last use. The time of `releases/NAME` itself says nothing:
it changes with every file that is written there.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

RELEASES = "releases"
CURRENT = "current"
SERVED = "served"


def current(root: Path) -> str:
    """Return the name of the release that the link leads to, or an empty text."""
    with suppress(OSError):
        return (root / CURRENT).readlink().name
    return ""


def mark(root: Path, name: str) -> None:
    """Note that a release serves from now on. Raises OSError."""
    (root / SERVED).mkdir(mode=0o755, exist_ok=True)
    (root / SERVED / name).touch(mode=0o644)


def forget(root: Path, name: str) -> None:
    """Take a release's mark away. Raises OSError."""
    (root / SERVED / name).unlink(missing_ok=True)


def used_ns(root: Path, name: str) -> int:
    """Return when a release began to serve last, in ns since the epoch; 0: it never did."""
    with suppress(OSError):
        return (root / SERVED / name).stat().st_mtime_ns
    return 0


def served(root: Path) -> list[str]:
    """Return the releases that are there and have served, the one used last first."""
    try:
        names = [entry.name for entry in (root / RELEASES).iterdir()]
    except FileNotFoundError:
        return []
    now = current(root)
    used = {name: used_ns(root, name) for name in names}
    kept = [name for name in names if used[name] or name == now]
    return sorted(kept, key=lambda name: (name != now, -used[name]))
