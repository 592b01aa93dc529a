"""Files that are whole at every moment: the old content or the new, wherever a run is killed.

The new content goes to a temporary file beside the target (a rename is atomic only inside one
filesystem), reaches the disk, and takes the target's name last.
"""

from __future__ import annotations

import grp
import os
import pwd
import secrets
import shutil
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

# The dot hides leftovers of a killed run from the programs that read conf.d style directories.
TEMPORARY_PREFIX = ".labstack-new-"


@dataclass(frozen=True)
class Attributes:
    """Owner, group and permission bits.

    -1 is an owner or a group that does not exist yet, which only check mode lets through.
    """

    uid: int
    gid: int
    mode: int

    @classmethod
    def own(cls, mode: int) -> Attributes:
        """Return those of a file of the user who runs the module: root, with become."""
        return cls(os.geteuid(), os.getegid(), mode)

    @classmethod
    def of(cls, info: os.stat_result) -> Attributes:
        """Return those of an existing file or directory."""
        return cls(info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode))

    def apply(self, target: Path | int) -> None:
        """Give them to a path or an open file. Raises OSError."""
        os.chown(target, self.uid, self.gid)
        # After the owner, whose change clears the set-id bits.
        os.chmod(target, self.mode)  # noqa: PTH101 - a Path has no chmod for an open file

    def __str__(self) -> str:
        """Show them as the lines of a diff."""
        owner, group = ("(new)" if number < 0 else number for number in (self.uid, self.gid))
        return f"owner: {owner}\ngroup: {group}\nmode: {self.mode:04o}\n"


def account_number(name: str, kind: str, check: bool) -> int:
    """Return the number of a user or a group (`kind`); -1 for one that check mode does not know.

    Raises LookupError.
    """
    if name.isdigit():
        return int(name)
    try:
        return pwd.getpwnam(name).pw_uid if kind == "user" else grp.getgrnam(name).gr_gid
    except KeyError:
        if check:
            return -1
        raise LookupError(f"there is no {kind} '{name}' yet") from None


def make_directory(path: Path, attributes: Attributes) -> None:
    """Make a directory; missing parents get mode 0755 whatever the umask. Raises OSError."""
    for parent in reversed(path.parents):
        if not parent.exists():
            parent.mkdir()
            parent.chmod(0o755)
    path.mkdir(mode=0o700)
    attributes.apply(path)


def temporary_path(directory: Path) -> Path:
    """Return an unused name in `directory`, which `sweep` recognises."""
    return directory / f"{TEMPORARY_PREFIX}{secrets.token_hex(6)}"


def write_new(path: Path, chunks: Iterable[bytes], attributes: Attributes) -> None:
    """Write a file that must not exist yet, through to the disk; on any error it is gone again.

    Owner and mode are set before the first byte, so the content is never readable by others.
    Raises OSError, and whatever iterating `chunks` raises.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            attributes.apply(descriptor)
            for chunk in chunks:
                stream.write(chunk)
            stream.flush()
            os.fsync(descriptor)
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise


def write_temporary(directory: Path, chunks: Iterable[bytes], attributes: Attributes) -> Path:
    """Write a temporary file into `directory` and return its path. Raises as `write_new`."""
    path = temporary_path(directory)
    write_new(path, chunks, attributes)
    return path


def replace(temporary: Path, target: Path) -> None:
    """Give `temporary` the name of `target` in one step, and bring the rename to the disk."""
    temporary.replace(target)
    sync_directory(target.parent)


def sync_directory(directory: Path) -> None:
    """Bring a directory's names to the disk. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep(directory: Path) -> None:
    """Remove what a killed run left in `directory`; a missing or unreadable one is fine."""
    with suppress(OSError):
        for entry in directory.iterdir():
            if not entry.name.startswith(TEMPORARY_PREFIX):
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink()
