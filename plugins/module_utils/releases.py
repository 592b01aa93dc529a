"""Programs of release tarballs: which version is there, and how another one replaces it."""

from __future__ import annotations

import errno
import gzip
import hashlib
import lzma
import platform
import re
import stat
import subprocess
import tarfile
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .host_files import Attributes, replace, sweep, write_temporary

_MODE = 0o755
_CHUNK = 1024 * 1024  # bytes
_VERSION_TIMEOUT = 30  # seconds: a program that does not know the arguments may start to serve
# Seconds before each further try after a failure that may pass; and those after which none
# begins, so that a dead server is reported within a minute.
_RETRY_PAUSES = (1.0, 2.0, 4.0)
_LAST_TRY = 30.0
_TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_VERSION = re.compile(r"(?<![\w.])v?(\d+(?:\.\d+)+(?:-[0-9A-Za-z.-]+)?)(?:\+[0-9A-Za-z.-]+)?")


class ReleaseError(Exception):
    """A message for the user."""


class TransientError(Exception):
    """A failed download that may work the next time."""


@dataclass(frozen=True)
class Binary:
    """A program: its path in the tarball and where it goes."""

    member: str
    dest: Path


@dataclass(frozen=True)
class Release:
    """A version of a component, and where to get it."""

    name: str
    version: str
    url: str
    sha256: str
    binaries: tuple[Binary, ...]
    timeout: float = 20  # seconds without a byte

    @property
    def variable(self) -> str:
        """The component's name as the stem of its variables."""
        return re.sub(r"\W", "_", self.name)


def without_build(version: str) -> str:
    """Return a version without leading `v` and build metadata (semver.org, item 10)."""
    return version.removeprefix("v").partition("+")[0]


def check_release(release: Release) -> None:
    """Refuse values that cannot work. Raises ReleaseError."""
    if not re.fullmatch(r"[0-9a-fA-F]{64}", release.sha256):
        raise ReleaseError(
            f"{release.variable}_sha256 is '{release.sha256}', which is no SHA-256: it takes 64 "
            "hexadecimal digits, from the release's sha256sums.txt (group_vars/all/versions.yml)."
        )
    if not re.match(r"https?://[^/]", release.url):
        raise ReleaseError(f"url of {release.name} is '{release.url}': use https://… or http://…")
    for binary in release.binaries:
        if not binary.dest.is_absolute():
            raise ReleaseError(
                f"dest '{binary.dest}' is no absolute path: /usr/local/bin/… is one."
            )


def reported_version(program: Path, wanted: str) -> str | None:
    """Return the version that a program prints, without build metadata; None for none.

    Where it prints several, `wanted` counts before the first one. Raises OSError, ReleaseError.
    """
    try:
        result = subprocess.run(
            [str(program), "--version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_VERSION_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ReleaseError(
            f"'{program} --version' did not end within {_VERSION_TIMEOUT} seconds: "
            "this is no program that prints its version and ends."
        ) from None
    found = _VERSION.findall(result.stdout.decode(errors="replace"))
    if without_build(wanted) in found:
        return without_build(wanted)
    return found[0] if found else None


def installed_version(binary: Binary, release: Release) -> str | None:
    """Return the version of the program at its destination; None if it must be installed anew.

    A program that does not belong to root alone is not run, as it would run as root.
    """
    try:
        info = binary.dest.stat()
        if not stat.S_ISREG(info.st_mode) or Attributes.of(info) != Attributes.own(_MODE):
            return None
        return reported_version(binary.dest, release.version)
    except (OSError, ReleaseError):
        return None


def fetch(url: str, timeout: float, digest: hashlib._Hash) -> Iterator[bytes]:
    """Yield the bytes of an HTTP answer, and feed them to `digest`.

    Raises TransientError, ReleaseError.
    """
    # Late: they cost a tenth of the time of a run that has nothing to download.
    import http.client  # noqa: PLC0415 - see above
    import ssl  # noqa: PLC0415 - see above
    import urllib.error  # noqa: PLC0415 - see above
    import urllib.request  # noqa: PLC0415 - see above

    received = 0
    try:
        # The scheme was checked; certificates are verified by default.
        request = urllib.request.Request(url, headers={"User-Agent": "labstack"})  # noqa: S310 - see above
        with urllib.request.urlopen(request, timeout=timeout) as response:  # noqa: S310 - see above
            expected = response.headers.get("Content-Length")
            while chunk := response.read(_CHUNK):
                received += len(chunk)
                digest.update(chunk)
                yield chunk
    except urllib.error.HTTPError as error:
        if error.code in _TRANSIENT_STATUS:
            raise TransientError(f"the server answered {error.code} {error.reason}") from error
        raise ReleaseError(
            f"The server answered {error.code} {error.reason} for {url}. Is there such a release? "
            "Open the address in a browser; version and base address are in "
            "group_vars/all/versions.yml."
        ) from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise ReleaseError(
                f"The certificate of {url} is not trusted: {reason.verify_message}. Behind an "
                "intercepting proxy, install its CA on the host (update-ca-certificates); "
                "otherwise check the host's clock (timedatectl)."
            ) from error
        raise TransientError(f"{reason}" if str(reason) else type(reason).__name__) from error
    if expected is not None and received != int(expected):
        raise TransientError(f"the download is truncated: {received} of {expected} bytes came")


def download(release: Release, directory: Path) -> Path:
    """Download the tarball into a temporary file in `directory`; its checksum is right.

    Raises ReleaseError; OSError where the directory cannot take it.
    """
    began = time.monotonic()
    for tries, pause in enumerate((*_RETRY_PAUSES, None), 1):
        digest = hashlib.sha256()
        try:
            content = fetch(release.url, release.timeout, digest)
            tarball: Path = write_temporary(directory, content, Attributes.own(0o600))
        except TransientError as error:
            if pause is None or time.monotonic() - began > _LAST_TRY:
                raise ReleaseError(
                    f"Cannot download {release.url}: {error} ({tries} tries). "
                    f"Try on the host: curl -fLO {release.url}"
                ) from error
            # The server is asked for nothing while it may be overloaded.
            time.sleep(pause)
            continue
        if digest.hexdigest() == release.sha256.lower():
            return tarball
        tarball.unlink()
        raise ReleaseError(
            f"The checksum of {release.url} is wrong; nothing was replaced.\n"
            f"expected {release.sha256.lower()}\n"
            f"got      {digest.hexdigest()}\n"
            f"If you changed {release.variable}_version, change {release.variable}_checksums "
            "beside it in group_vars/all/versions.yml to the values in the release's "
            "sha256sums.txt. If you did not, somebody changed the file: do not install it."
        )
    raise AssertionError("the last try returns or raises")


def matches(pattern: str, name: str) -> bool:
    """Tell whether a tarball's member is the wanted one; `*` stands for any first directory."""
    wanted = pattern.split("/")
    parts = name.removeprefix("./").split("/")
    if len(parts) != len(wanted) or {"", ".", ".."} & set(parts):
        return False
    return wanted[1:] == parts[1:] and wanted[0] in ("*", parts[0])


def unpack(release: Release, tarball: Path) -> list[tuple[Path, Binary]]:
    """Unpack each program into a temporary file beside its destination.

    Only contents come out of the tarball: no path, owner, mode or link of it is used.
    Raises ReleaseError, OSError; temporary files that were written are then left to `sweep`.
    """
    unpacked = []
    try:
        with tarfile.open(tarball) as archive:
            members = archive.getmembers()
            for binary in release.binaries:
                found = [m for m in members if m.isreg() and matches(binary.member, m.name)]
                if len(found) != 1:
                    problem = "not in" if not found else "more than once in"
                    raise ReleaseError(
                        f"'{binary.member}' is {problem} {release.url}. Its files: "
                        + (", ".join(m.name for m in members if m.isreg()) or "none")
                    )
                stream = archive.extractfile(found[0])
                assert stream is not None  # noqa: S101 - never None for a regular file
                temporary = write_temporary(
                    binary.dest.parent, chunks(stream), Attributes.own(_MODE)
                )
                unpacked.append((temporary, binary))
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise ReleaseError(
            f"{release.url} is no tarball ({error}), though its checksum is right: "
            f"the url must name the release's .tar.gz."
        ) from error
    return unpacked


def chunks(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield a stream's content in pieces."""
    while chunk := stream.read(_CHUNK):
        yield chunk


def prove(release: Release, program: Path, binary: Binary) -> None:
    """Run an unpacked program once. Raises ReleaseError unless it reports the wanted version."""
    try:
        version = reported_version(program, release.version)
    except OSError as error:
        hint = f"the url may name another architecture than this host's ({platform.machine()})"
        if error.errno == errno.EACCES:
            hint = f"the filesystem of {binary.dest.parent} may be mounted noexec"
        raise ReleaseError(
            f"{binary.member} of {release.url} does not run here: {error.strerror}; {hint}. "
            "Nothing was replaced."
        ) from error
    if version != without_build(release.version):
        raise ReleaseError(
            f"{binary.member} of {release.url} reports version {version or 'none'}, wanted is "
            f"{release.version}: {release.variable}_version and the url do not belong together. "
            "Nothing was replaced."
        )


def install(release: Release) -> None:
    """Download the release and swap its programs in; on any error none is. Raises ReleaseError."""
    directories = {binary.dest.parent for binary in release.binaries}
    try:
        for directory in directories:
            sweep(directory)
        try:
            tarball = download(release, release.binaries[0].dest.parent)
            unpacked = unpack(release, tarball)
            for temporary, binary in unpacked:
                prove(release, temporary, binary)
            for temporary, binary in unpacked:
                replace(temporary, binary.dest)
        finally:
            for directory in directories:
                sweep(directory)
    except OSError as error:
        raise ReleaseError(
            f"Cannot install {release.name} into {', '.join(sorted(map(str, directories)))}: "
            f"{error.strerror}: {error.filename}. The directory must exist, be writable for the "
            "task's user (become: true) and have room for the tarball (df -h)."
        ) from error


def converge(release: Release, check: bool) -> str | None:
    """Bring the release's programs to its version; return what was there before, if not that.

    The version that the first unlike program reported, "" for a missing one; None for no change.
    Raises ReleaseError.
    """
    check_release(release)
    wanted = without_build(release.version)
    installed = [installed_version(binary, release) for binary in release.binaries]
    unlike = [version or "" for version in installed if version != wanted]
    if not unlike:
        return None
    if not check:
        install(release)
    return unlike[0]


def version_diff(release: Release, before: str | None) -> dict[str, str]:
    """Return the diff of a release, whose programs had the version that `converge` returned."""
    wanted = without_build(release.version)
    found = wanted if before is None else before or "(not installed)"
    return {"before": f"{release.name} {found}\n", "after": f"{release.name} {wanted}\n"}
