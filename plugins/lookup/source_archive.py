"""Lookup `source_archive`: a directory of the controller as one reproducible archive."""

from __future__ import annotations

DOCUMENTATION = r"""
name: source_archive
short_description: Pack a directory so that the same content always gives the same archive
version_added: "0.1.0"
author: labstack (@labstack)
description:
  - Packs a directory of the controller into a gzipped tar archive for the module
    M(labstack.stack.release_directory), which unpacks it on a host.
  - By default every file and directory is left out whose name begins with a dot, or is C(tests),
    C(secrets), C(tls) or C(__pycache__). So neither a developer's secrets nor what only developers
    need travel.
  - Of a file, its path, its content and whether it is executable count. Times and owners do not.
options:
  _terms:
    description:
      - The directory, or an archive of one (tar, zip). It must hold a C(compose.yaml), or a Compose
        file of another of its usual names.
    required: true
    type: list
    elements: path
  leave_out:
    description: Names of files and directories that are left out, with C(*).
    type: list
    elements: str
    default: [".*", tests, secrets, tls, __pycache__]
  variable:
    description: The variable that names the directory, for messages.
    type: str
    default: webapp_source
"""

EXAMPLES = r"""
- name: Unpack the application
  labstack.stack.release_directory:
    root: /opt/webapp
    source: "{{ lookup('labstack.stack.source_archive', playbook_dir ~ '/app') }}"
"""

RETURN = r"""
_raw:
  description: A dictionary for each directory.
  type: list
  elements: dict
  contains:
    digest:
      description: SHA-256 of the tar archive before it is compressed, 64 hexadecimal digits.
      type: str
    archive:
      description: The gzipped tar archive in Base64.
      type: str
"""

import base64
import gzip
import hashlib
import io
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

LEFT_OUT = (".*", "tests", "secrets", "tls", "__pycache__")
COMPOSE_FILES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
# The archive travels in the module's arguments, and is held in memory several times.
MAX_BYTES = 8 * 1024 * 1024


def _entries(
    directory: Path, leave_out: Sequence[str], prefix: str = ""
) -> Iterator[tuple[str, Path]]:
    """Yield what belongs into the archive, as name in the archive and path; parents first."""
    for path in sorted(directory.iterdir(), key=lambda entry: entry.name):
        if any(fnmatch(path.name, pattern) for pattern in leave_out):
            continue
        name = prefix + path.name
        yield name, path
        if path.is_dir() and not path.is_symlink():
            yield from _entries(path, leave_out, f"{name}/")


def _left_out(leave_out: Sequence[str]) -> str:
    return f"Left out are: {', '.join(leave_out) or 'none'}."


def _member(name: str, path: Path, leave_out: Sequence[str]) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    if path.is_dir() and not path.is_symlink():
        info.type = tarfile.DIRTYPE
        info.mode = 0o755
        return info, b""
    if not path.is_file() or path.is_symlink():
        raise AnsibleLookupError(
            f"source_archive: {path} is neither a file nor a directory, for example a symbolic "
            f"link. Put a file in its place. {_left_out(leave_out)}"
        )
    content = path.read_bytes()
    info.size = len(content)
    info.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
    return info, content


def _unpacked(archive: Path, scratch: Path, variable: str) -> Path:
    """Unpack an archive and return the directory of its Compose file, which may be its only one.

    Raises AnsibleLookupError.
    """
    try:
        # Nothing outside of the directory, no links to elsewhere, no devices.
        shutil.unpack_archive(
            archive, scratch, filter=None if zipfile.is_zipfile(archive) else "data"
        )
    except (OSError, ValueError, shutil.ReadError, tarfile.TarError) as error:
        raise AnsibleLookupError(
            f"source_archive: {archive} cannot be unpacked: {error}. {variable} takes a directory, "
            "or an archive of one: .tar.gz, .tar or .zip"
        ) from error
    entries = list(scratch.iterdir())
    return entries[0] if len(entries) == 1 and entries[0].is_dir() else scratch


def pack(
    directory: Path, leave_out: Sequence[str] = LEFT_OUT, variable: str = "webapp_source"
) -> dict[str, str]:
    """Return `digest` and `archive` of a directory, or of an archive of one.

    Raises:
        AnsibleLookupError: the directory or its Compose file is missing, something cannot be read,
            is neither file nor directory, or all of it is larger than MAX_BYTES.
    """
    if directory.is_file():
        with tempfile.TemporaryDirectory() as scratch:
            return pack(_unpacked(directory, Path(scratch), variable), leave_out, variable)
    if not any((directory / name).is_file() for name in COMPOSE_FILES):
        raise AnsibleLookupError(
            f"source_archive: there is no {directory}/compose.yaml, nor docker-compose.yml. "
            f"{variable} must name the directory of the application, for example "
            f'{variable}: "{{{{ playbook_dir }}}}/app".'
        )
    buffer = io.BytesIO()
    try:
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for name, path in _entries(directory, leave_out):
                info, content = _member(name, path, leave_out)
                archive.addfile(info, io.BytesIO(content))
                if buffer.tell() > MAX_BYTES:
                    raise AnsibleLookupError(
                        f"source_archive: {directory} holds more than {MAX_BYTES // 1024**2} MiB "
                        f"(at {path}). Only the application's sources belong there. "
                        f"{_left_out(leave_out)} A larger one: the host clones "
                        f"{variable.removesuffix('source')}repo."
                    )
    except OSError as error:
        raise AnsibleLookupError(
            f"source_archive: {directory} cannot be packed: {error}"
        ) from error
    content = buffer.getvalue()
    return {
        "digest": hashlib.sha256(content).hexdigest(),
        "archive": base64.b64encode(gzip.compress(content, mtime=0)).decode(),
    }


class LookupModule(LookupBase):  # type: ignore[misc]  # Ansible ships no types: the base is Any
    """Gives Ansible the lookup."""

    def run(
        self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any
    ) -> list[dict[str, str]]:
        """Return one dictionary for each directory of `terms`."""
        self.set_options(var_options=variables, direct=kwargs)
        leave_out, variable = self.get_option("leave_out"), self.get_option("variable")
        return [pack(Path(term), leave_out, variable) for term in terms]
