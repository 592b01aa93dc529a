from __future__ import annotations

import io
import tarfile
from pathlib import Path
from unittest import mock

import pytest

from testbed import mirror

LOG = """\
172.17.0.2 - - [24/Nov/2026 02:50:02] "GET /apt/dists/stable/InRelease HTTP/1.1" 200 -
172.17.0.1 - - [24/Nov/2026 02:50:03] "GET /releases.txt HTTP/1.1" 200 -
172.17.0.2 - - [24/Nov/2026:02:50:04 +0000] "GET /v2/library/python/manifests/3.13 HTTP/1.1" 200 1
172.17.0.1 - - [24/Nov/2026:02:50:05 +0000] "GET /v2/ HTTP/1.1" 200 2
time="2026-11-24T02:50:05Z" level=warning msg="No HTTP secret provided"
"""


def test_requests_are_counted_without_the_testbeds_own() -> None:
    assert mirror.parse_log(LOG) == [
        "GET /apt/dists/stable/InRelease",
        "GET /v2/library/python/manifests/3.13",
    ]


@pytest.mark.parametrize(
    ("entry", "address"),
    [
        ({"Subnet": "172.17.0.0/16", "Gateway": "172.17.0.9"}, "172.17.0.9"),
        ({"Subnet": "172.17.0.0/16"}, "172.17.0.1"),
    ],
)
def test_the_bridges_address(entry: dict[str, str], address: str) -> None:
    assert mirror.bridge_address(entry) == address


def test_a_checkout_that_stands_alone_serves_the_stand_in_dashboard(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(mirror, "DASHBOARD", tmp_path / "shared/dashboards/nothing.json")
    assert mirror.dashboard() == mirror.DASHBOARD_STAND_IN.read_bytes()
    (tmp_path / "given.json").write_text("{}")
    monkeypatch.setattr(mirror, "DASHBOARD", tmp_path / "given.json")
    assert mirror.dashboard() == b"{}"


def test_the_stand_in_dashboard_has_the_upstreams_shape() -> None:
    text = mirror.DASHBOARD_STAND_IN.read_text()
    assert "${ds_prometheus}" in text
    assert "__inputs" not in text


def test_checkouts_with_different_dashboards_share_a_mirror(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each finds its own there, and neither takes the other's mirror away."""
    served: dict[str, bytes] = {}
    container = mock.Mock()

    def put(root: str, archive: bytes) -> None:
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            for member in files:
                content = files.extractfile(member)
                assert content
                served[f"{root}/{member.name}"] = content.read()

    container.put_archive.side_effect = put
    references = set()
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
        monkeypatch.setattr(mirror, "DASHBOARD", tmp_path / name)
        mirror.put_dashboard(container)
        references.add(mirror.static_recipe("labstack/debian:trixie").reference)
    assert sorted(served.values()) == [b"one", b"two"]
    assert len(references) == 1
