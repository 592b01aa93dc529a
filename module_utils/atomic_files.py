"""Files that are whole at every moment: the old content or the new, wherever a run is killed.

The new content goes to a temporary file beside the target (a rename is atomic only inside one
filesystem), reaches the disk, and takes the target's name last.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

# The dot hides leftovers of a killed run from the programs that read conf.d style directories.
TEMPORARY_PREFIX = ".labstack-new-"


def temporary_path(directory: Path) -> Path:
    """Return an unused name in `directory`, which `sweep` recognises."""
    return directory / f"{TEMPORARY_PREFIX}{secrets.token_hex(6)}"


def write_new(path: Path, chunks: Iterable[bytes], mode: int, uid: int, gid: int) -> None:
    """Write a file that must not exist yet, through to the disk; on any error it is gone again.

    Owner and mode are set before the first byte, so the content is never readable by others.
    Raises OSError, and whatever iterating `chunks` raises.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            os.fchown(descriptor, uid, gid)
            os.fchmod(descriptor, mode)
            for chunk in chunks:
                stream.write(chunk)
            stream.flush()
            os.fsync(descriptor)
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise


def write_temporary(
    directory: Path, chunks: Iterable[bytes], mode: int, uid: int, gid: int
) -> Path:
    """Write a temporary file into `directory` and return its path. Raises as `write_new`."""
    path = temporary_path(directory)
    write_new(path, chunks, mode, uid, gid)
    return path


def replace(temporary: Path, target: Path) -> None:
    """Give `temporary` the name of `target` in one step, and bring the rename to the disk."""
    temporary.replace(target)
    sync_directory(target.parent)


def sync_directory(directory: Path) -> None:
    """Bring a directory's names to the disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep(directory: Path) -> None:
    """Remove what a killed run left in `directory`; a missing or unreadable one is fine."""
    with suppress(OSError):
        for entry in os.scandir(directory):
            if not entry.name.startswith(TEMPORARY_PREFIX):
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                with suppress(OSError):
                    Path(entry.path).unlink()
