"""Everything from outside is pinned in one file, and nothing else names where it is."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.role_readme import REPOSITORY

VERSIONS = REPOSITORY / "group_vars" / "all" / "versions.yml"
TEXT = VERSIONS.read_text(encoding="utf-8")
PINS: dict[str, Any] = yaml.safe_load(TEXT)
COMPONENTS = [name.removesuffix("_version") for name in PINS if name.endswith("_version")]
# Upstreams of the product, which only versions.yml names.
UPSTREAM = re.compile(
    r"https?://[\w.-]*\b(github\.com|githubusercontent\.com|grafana\.com|docker\.(com|io))\b"
)
# Registries of packages, which no file names: every machine has its own in its configuration.
# In two parts, or this file would name them.
REGISTRIES = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("registry.npmjs", "org"),
        ("registry.yarnpkg", "com"),
        ("deb.debian", "org"),
        ("security.debian", "org"),
        ("ftp.debian", "org"),
        ("archive.ubuntu", "com"),
        ("security.ubuntu", "com"),
        ("galaxy.ansible", "com"),
    )
]


def tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    paths = [REPOSITORY / name for name in listed.split("\0") if name]
    return [path for path in paths if path.is_file() and not path.is_symlink()]


@pytest.mark.parametrize("component", COMPONENTS)
def test_version_has_a_renovate_comment(component: str) -> None:
    comment = rf"# renovate: datasource=\S+ depName=\S+.*\n{component}_version: "
    assert re.search(comment, TEXT), f"above {component}_version"


@pytest.mark.parametrize("component", COMPONENTS)
def test_version_is_exact(component: str) -> None:
    assert re.fullmatch(r"\d+(\.\d+)+([-+.][\w.]+)?", str(PINS[f"{component}_version"]))


def test_tarballs_have_a_checksum_beside_the_version() -> None:
    checksums = [name for name in PINS if name.endswith("_sha256")]
    assert checksums
    for name in checksums:
        assert re.fullmatch(r"[0-9a-f]{64}", PINS[name]), name
        version = name.replace("_sha256", "_version")
        assert re.search(rf"^{version}: .*\n(#.*\n)?{name}: ", TEXT, re.MULTILINE), name


def test_dashboards_have_revision_and_checksum() -> None:
    for dashboard in PINS["grafana_imported_dashboards"]:
        assert isinstance(dashboard["revision"], int)
        assert re.fullmatch(r"[0-9a-f]{64}", dashboard["sha256"])


def test_only_versions_yml_names_the_upstreams() -> None:
    places = [REPOSITORY / "roles", REPOSITORY / "group_vars", REPOSITORY / "playbooks"]
    found = [
        f"{path.relative_to(REPOSITORY)}:{number}: {line.strip()}"
        for path in tracked_files()
        if path != VERSIONS and any(path.is_relative_to(place) for place in places)
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if UPSTREAM.search(line)
    ]
    assert found == []


def test_no_file_names_a_package_registry() -> None:
    found = [
        f"{path.relative_to(REPOSITORY)} names {registry}"
        for path in tracked_files()
        for registry in REGISTRIES
        if registry.encode() in path.read_bytes()
    ]
    assert found == []
