"""An archive is one tar: what there is, and at its end a manifest that says what there must be."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from labstack_backup.common import MB, FailureError

FORMAT = 1
MANIFEST = "manifest.json"
# A dump's length is not known before its end, which a tar must know: so it is cut.
PART = 4 * MB
_TABLE = re.compile(rb"-- Table structure for table `(.+)`$")
_TEXT = re.compile(rb"'(?:[^'\\]+|\\.|'')*'", re.DOTALL)
_COUNTER = re.compile(rb" AUTO_INCREMENT=\d+")


class Tables:
    """Rows and SHA-256 of each table, from the text of mysqldump.

    The same rows give the same sum, whatever the schema's name: comments, settings and the next
    automatic number do not count.
    """

    def __init__(self) -> None:
        """Begins with no table."""
        self._rest = b""
        self._sum: Any = None
        self._now: dict[str, Any] = {}
        self.tables: dict[str, dict[str, Any]] = {}

    def feed(self, data: bytes) -> None:
        """Takes the next bytes."""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            self._line(line)

    def close(self) -> dict[str, dict[str, Any]]:
        """Returns {table: {rows, sha256}}."""
        self._line(self._rest)
        self._end()
        return self.tables

    def _end(self) -> None:
        if self._sum is not None:
            self._now["sha256"] = self._sum.hexdigest()

    def _line(self, line: bytes) -> None:
        found = _TABLE.match(line)
        if found:
            self._end()
            self._sum, self._now = hashlib.sha256(), {"rows": 0}
            self.tables[found[1].decode()] = self._now
        elif (
            self._sum is None
            or not line
            or line.startswith((b"--", b"/*!", b"DROP ", b"LOCK ", b"UNLOCK "))
        ):
            return
        elif line.startswith(b"INSERT INTO "):
            self._now["rows"] += _TEXT.sub(b"", line).count(b"),(") + 1
            self._sum.update(line)
        else:
            self._sum.update(_COUNTER.sub(b"", line))


@dataclass
class Writer:
    """Writes an archive.

    Attributes:
        stream: where it goes.
        head: what the manifest says beside the content.
        entries: the SHA-256 of each file and dump, by its name.
        databases: rows and SHA-256 of each table, by its dump's name.
        skipped: what is not in it, or not whole, and why.
        size: bytes of content.
    """

    stream: IO[bytes]
    head: dict[str, Any]
    entries: dict[str, str] = field(default_factory=dict)
    databases: dict[str, dict[str, Any]] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    size: int = 0

    def __post_init__(self) -> None:
        """Begins the tar."""
        self._tar = tarfile.TarFile.open(mode="w|", fileobj=self.stream, format=tarfile.PAX_FORMAT)

    def file(
        self, name: str, content: bytes, mode: int = 0o600, owner: tuple[int, int] = (0, 0)
    ) -> None:
        """Adds a file with this content."""
        info = tarfile.TarInfo(name)
        info.size, info.mode, (info.uid, info.gid) = len(content), mode, owner
        self._tar.addfile(info, io.BytesIO(content))
        self.entries[name] = hashlib.sha256(content).hexdigest()
        self.size += len(content)

    def tree(self, name: str, path: Path) -> None:
        """Adds a file, or a directory with everything in it, with owners and modes.

        Applications go on meanwhile: what vanishes is left out, and noted; a file that becomes
        shorter is filled up with zeros.
        """
        try:
            self._tree(name, path)
        except FileNotFoundError:
            self.skipped.append(f"{path} is not there")

    def _tree(self, name: str, path: Path) -> None:
        # Else the second name of a file would be a link to the first, without content.
        self._tar.inodes.clear()  # type: ignore[attr-defined]
        info = self._tar.gettarinfo(path, name)
        if info is None:  # a socket
            return
        if info.isreg():
            with path.open("rb") as stream:
                summed = _Summed(stream)
                self._tar.addfile(info, summed)
            if summed.missing:
                self.skipped.append(f"{path} became shorter while it was read")
            self.entries[name] = summed.hexdigest()
            self.size += info.size
            return
        children = sorted(path.iterdir()) if info.isdir() else []
        self._tar.addfile(info)
        for child in children:
            self.tree(f"{name}/{child.name}", child)

    def dump(self, name: str, stream: IO[bytes]) -> None:
        """Adds a dump of mysqldump, cut, and notes its tables."""
        tables, whole, number = Tables(), hashlib.sha256(), 0
        while part := stream.read(PART):
            tables.feed(part)
            whole.update(part)
            info = tarfile.TarInfo(f"{name}/{number:06}.sql")
            info.size, info.mode = len(part), 0o600
            self._tar.addfile(info, io.BytesIO(part))
            self.size += len(part)
            number += 1
        self.entries[name] = whole.hexdigest()
        self.databases[name] = tables.close()

    def abandon(self) -> None:
        """Leaves the archive as it is, without an end."""
        # Else tarfile would write one when it is forgotten.
        self._tar.fileobj.closed = True  # type: ignore[attr-defined]

    def close(self) -> dict[str, Any]:
        """Ends the archive with its manifest, which is returned."""
        tables = [table for tables in self.databases.values() for table in tables.values()]
        manifest = {
            **self.head,
            "format": FORMAT,
            "size": self.size,
            "entries": self.entries,
            "databases": self.databases,
            "skipped": self.skipped,
            "rows": sum(table["rows"] for table in tables),
        }
        content = json.dumps(manifest).encode()
        info = tarfile.TarInfo(MANIFEST)
        info.size = len(content)
        self._tar.addfile(info, io.BytesIO(content))
        self._tar.close()
        return manifest


class _Summed:
    """A stream that sums what is read from it, and goes on with zeros where it ends too early."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._sum = stream, hashlib.sha256()
        self.missing = 0

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self.missing += max(0, size - len(data))
        data = data.ljust(size, b"\0")
        self._sum.update(data)
        return data

    def hexdigest(self) -> str:
        return self._sum.hexdigest()


class Content:
    """The content of an entry. Reading raises FailureError where the archive is cut short."""

    def __init__(self, stream: IO[bytes]) -> None:
        """Takes what tarfile gives."""
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        """Reads like a stream."""
        try:
            return self._stream.read(size)
        except tarfile.TarError as error:
            raise _cut_short(error) from error


def _cut_short(error: Exception) -> FailureError:
    return FailureError(
        f"the archive is cut short or damaged ({error})", "take another: ./lab backups"
    )


def entries(stream: IO[bytes]) -> Iterator[tuple[tarfile.TarInfo, Content | None]]:
    """Yields each entry and its content. Raises FailureError where the archive is cut short."""
    try:
        with tarfile.open(mode="r|", fileobj=stream) as tar:
            for info in tar:
                file = tar.extractfile(info) if info.isreg() else None
                yield info, Content(file) if file else None
    except (tarfile.TarError, EOFError) as error:
        raise _cut_short(error) from error


def check(stream: IO[bytes], seen: Callable[[str, bytes], None] | None = None) -> dict[str, Any]:
    """Reads a whole archive and compares everything with its manifest, which is returned.

    Args:
        stream: the archive.
        seen: is given the name and content of each small entry (secrets).

    Raises:
        FailureError: something is missing, or another than the manifest says.
    """
    sums: dict[str, Any] = {}
    tables: dict[str, Tables] = {}
    manifest: dict[str, Any] | None = None
    for info, content in entries(stream):
        if content is None:
            continue
        if info.name == MANIFEST:
            manifest = json.loads(content.read())
            continue
        dump = info.name.startswith("mysql/")
        name = info.name.rpartition("/")[0] if dump else info.name
        whole = sums.setdefault(name, hashlib.sha256())
        while data := content.read(PART):
            whole.update(data)
            if dump:
                tables.setdefault(name, Tables()).feed(data)
            elif seen and info.name.startswith("secrets/"):
                seen(info.name, data)
    if manifest is None:
        raise FailureError(
            "the archive ends before its manifest: the backup was cut short",
            "take another: ./lab backups",
        )
    if manifest["format"] > FORMAT:
        raise FailureError(
            f"the archive has format {manifest['format']}, this program knows {FORMAT}",
            "restore it with the version of labstack that made it, or a newer one",
        )
    wrong = compare({name: one.hexdigest() for name, one in sums.items()}, manifest["entries"])
    for name, found in tables.items():
        wrong += (
            compare(found.close(), manifest["databases"][name])
            if name in manifest["databases"]
            else [name]
        )
    if wrong:
        raise FailureError(
            f"the archive is not what its manifest says: {', '.join(wrong[:5])}",
            "take another: ./lab backups",
        )
    return manifest


def compare(found: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """Returns the names in which two differ."""
    return sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name))
