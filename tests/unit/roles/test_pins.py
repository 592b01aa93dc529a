"""Everything from outside is pinned in one file, and nothing else names where it is."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleError

from tests.role_readme import REPOSITORY
from tests.unit.roles.rendering import evaluate

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


def renovates() -> list[re.Match[str]]:
    """What renovate.json's own expressions find in the file."""
    managers = json.loads((REPOSITORY / "renovate.json").read_text())["customManagers"]
    # JavaScript names a group (?<name>…), Python (?P<name>…).
    expressions = [text.replace("(?<", "(?P<") for m in managers for text in m["matchStrings"]]
    return [found for text in expressions for found in re.finditer(text, TEXT)]


def test_renovate_finds_every_version_and_every_image() -> None:
    wanted = [str(value) for name, value in PINS.items() if name.endswith(("_version", "_tag"))]
    assert sorted(found["currentValue"] for found in renovates()) == sorted(wanted)


def test_renovate_finds_the_digests() -> None:
    digests = [value for name, value in PINS.items() if name.endswith("_digest")]
    assert digests
    found = [match["currentDigest"] for match in renovates() if "_digest" in match[0]]
    assert sorted(found) == sorted(digests)


@pytest.mark.parametrize("component", COMPONENTS)
def test_version_is_exact(component: str) -> None:
    assert re.fullmatch(r"\d+(\.\d+)+([-+.][\w.]+)?", str(PINS[f"{component}_version"]))


# Grafana comes as a package of a signed repository.
TARBALLS = [component for component in COMPONENTS if component != "grafana"]


@pytest.mark.parametrize("component", TARBALLS)
def test_a_tarball_has_checksums_beside_its_version(component: str) -> None:
    checksums = PINS[f"{component}_checksums"]
    assert "amd64" in checksums
    for architecture, checksum in checksums.items():
        assert architecture in {"amd64", "arm64"}
        assert re.fullmatch(r"[0-9a-f]{64}", checksum)
    beside = rf"^{component}_version: .*\n{component}_checksums:\n"
    assert re.search(beside, TEXT, re.MULTILINE)


@pytest.mark.parametrize("component", TARBALLS)
def test_a_host_gets_the_tarball_of_its_architecture(component: str) -> None:
    url, sha256 = f"{component}_url", f"{component}_sha256"
    assert evaluate(component, url).endswith(".linux-amd64.tar.gz")
    assert evaluate(component, sha256) == PINS[f"{component}_checksums"]["amd64"]
    arm: dict[str, Any] = {"ansible_facts": {"architecture": "aarch64"}}
    assert evaluate(component, url, **arm).endswith(".linux-arm64.tar.gz")
    if "arm64" in PINS[f"{component}_checksums"]:
        assert evaluate(component, sha256, **arm) == PINS[f"{component}_checksums"]["arm64"]
    else:
        with pytest.raises(AnsibleError, match=f"{component}_checksums has no checksum for arm64"):
            evaluate(component, sha256, **arm)


def test_a_checksum_of_ones_own_wins() -> None:
    """As it was set before checksums were kept by architecture."""
    mine = "0" * 64
    assert evaluate("prometheus", "prometheus_sha256", prometheus_sha256=mine) == mine


def test_dashboards_have_revision_and_checksum() -> None:
    for dashboard in PINS["grafana_imported_dashboards"]:
        assert isinstance(dashboard["revision"], int)
        assert re.fullmatch(r"[0-9a-f]{64}", dashboard["sha256"])


def test_only_versions_yml_names_the_upstreams() -> None:
    places = [REPOSITORY / "roles", REPOSITORY / "group_vars", REPOSITORY / "playbooks"]
    # The project's own pages are read by people; nothing is downloaded there.
    own = yaml.safe_load((REPOSITORY / "galaxy.yml").read_text(encoding="utf-8"))["repository"]
    found = [
        f"{path.relative_to(REPOSITORY)}:{number}: {line.strip()}"
        for path in tracked_files()
        if path != VERSIONS and any(path.is_relative_to(place) for place in places)
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if UPSTREAM.search(line.replace(f"{own}/blob/", ""))
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
