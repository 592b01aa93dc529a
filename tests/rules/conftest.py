"""A promtool for the tests: the one named, the one on PATH, or the one of the pinned release."""

from __future__ import annotations

import hashlib
import io
import os
import platform
import shutil
import tarfile
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.labstack.stack.plugins.filter.goarch import goarch

from tests.role_readme import REPOSITORY

CACHE = REPOSITORY / ".lab" / "promtool"
# What the testbed's mirror has wins over the pinned release, as on a stand-in host.
VARIABLES = (
    REPOSITORY / "group_vars" / "all" / "versions.yml",
    REPOSITORY / "inventory" / "lab" / "group_vars" / "lab" / "upstreams.yml",
)
TIMEOUT = 20.0  # seconds without an answer


def pinned() -> tuple[str, str, str]:
    """Return version, SHA-256 and address of the Prometheus release that this machine can have."""
    variables: dict[str, Any] = {}
    for path in VARIABLES:
        if path.exists():
            variables |= yaml.safe_load(path.read_text(encoding="utf-8"))
    architecture = goarch(platform.machine())
    version, base = str(variables["prometheus_version"]), variables["stack_release_base_url"]
    address = (
        f"{base}/prometheus/prometheus/releases/download/v{version}/"
        f"prometheus-{version}.linux-{architecture}.tar.gz"
    )
    return version, variables["prometheus_checksums"][architecture], address


def download(address: str, sha256: str, destination: Path) -> None:
    """Unpack promtool of the release tarball at ``address`` to ``destination``.

    Raises:
        OSError: the tarball cannot be had.
        ValueError: its checksum is another.
    """
    with urllib.request.urlopen(address, timeout=TIMEOUT) as answer:  # noqa: S310 - a pinned one
        content: bytes = answer.read()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(f"{address} has another checksum than {sha256}")
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        (member,) = (m for m in archive.getmembers() if m.name.endswith("/promtool"))
        program = archive.extractfile(member)
        assert program is not None
        destination.parent.mkdir(parents=True, exist_ok=True)
        unfinished = destination.with_suffix(".tmp")
        unfinished.write_bytes(program.read())
    unfinished.chmod(0o755)
    unfinished.replace(destination)


@pytest.fixture(scope="session")
def promtool() -> str:
    """Return the path of a promtool."""
    named = os.environ.get("LABSTACK_PROMTOOL") or shutil.which("promtool")
    if named:
        return named
    version, sha256, address = pinned()
    cached = CACHE / f"promtool-{version}"
    if not cached.exists():
        try:
            download(address, sha256, cached)
        except OSError as error:
            pytest.fail(
                f"no promtool: none in LABSTACK_PROMTOOL, none on PATH, and {address} cannot be "
                f"had ({error}); start the mirror: ./lab run python -m testbed mirror"
            )
    return str(cached)
