"""The filters checksum_for and goarch."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.labstack.stack.plugins.filter.checksum_for import checksum_for
from ansible_collections.labstack.stack.plugins.filter.goarch import goarch


@pytest.mark.parametrize(("architecture", "chosen"), [("x86_64", "a"), ("aarch64", "b")])
def test_the_hosts_architecture_chooses(architecture: str, chosen: str) -> None:
    assert checksum_for({"amd64": "a", "arm64": "b"}, architecture, "prometheus") == chosen


def test_a_missing_checksum_says_where_it_goes() -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        checksum_for({"amd64": "a"}, "aarch64", "apache_exporter")
    message = str(caught.value)
    assert "apache_exporter_checksums has no checksum for arm64" in message
    assert "apache_exporter_checksums: {arm64: 4567…}" in message
    assert "stack_exporters" in message


def test_prometheus_is_not_left_out() -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        checksum_for({}, "x86_64", "prometheus")
    assert "prometheus_checksums: {amd64: 0123…}" in str(caught.value)
    assert "stack_exporters" not in str(caught.value)


def test_another_architecture_is_refused() -> None:
    with pytest.raises(AnsibleFilterError, match="'riscv64' is not supported"):
        goarch("riscv64")
