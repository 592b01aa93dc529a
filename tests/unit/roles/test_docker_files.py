"""What the role docker writes."""

from __future__ import annotations

import json

import pytest

from tests.unit.roles.rendering import evaluate, render


def test_logs_are_limited_and_containers_survive_a_restart() -> None:
    daemon = json.loads(render("docker", "daemon.json.j2"))
    assert daemon["log-driver"] == "local"
    assert daemon["log-opts"] == {"max-size": "10m", "max-file": "3"}
    assert daemon["live-restore"] is True
    assert daemon["userland-proxy"] is False


def test_mirror_and_own_options_reach_the_engine() -> None:
    daemon = json.loads(
        render(
            "docker",
            "daemon.json.j2",
            docker_registry_mirrors=["https://mirror.example.net"],
            docker_daemon_options={"dns": ["192.0.2.53"], "userland-proxy": True},
        )
    )
    assert daemon["registry-mirrors"] == ["https://mirror.example.net"]
    assert daemon["dns"] == ["192.0.2.53"]
    assert daemon["userland-proxy"] is True, "docker_daemon_options wins"


@pytest.mark.parametrize(
    ("source", "distribution", "compose"),
    [
        ("distribution", "Ubuntu", "docker-compose-v2"),
        ("distribution", "Debian", "docker-compose"),
        ("upstream", "Ubuntu", "docker-compose-plugin"),
        ("upstream", "Debian", "docker-compose-plugin"),
    ],
)
def test_compose_is_the_plugin(source: str, distribution: str, compose: str) -> None:
    packages = evaluate(
        "docker",
        "__docker_packages",
        docker_source=source,
        ansible_facts={"distribution": distribution},
    )
    assert compose in packages


PACKAGES = ["docker.io", "docker-compose-v2", "docker-buildx", "nftables"]


@pytest.mark.parametrize(
    ("dpkg", "missing"),
    [
        ([], PACKAGES),
        (["docker.io installed", "docker-compose-v2 unpacked"], PACKAGES[1:]),
        ([f"{package} installed" for package in PACKAGES], []),
        (
            ["docker.io not-installed", *(f"{package} installed" for package in PACKAGES[1:])],
            PACKAGES[:1],
        ),
        ([f"{package} installed" for package in PACKAGES[:3]], PACKAGES[3:]),
    ],
    ids=["blank", "killed in the middle", "complete", "removed", "from an older release"],
)
def test_only_finished_packages_count(dpkg: list[str], missing: list[str]) -> None:
    found = evaluate("docker", "__docker_missing", __docker_dpkg={"stdout_lines": dpkg})
    assert found == missing


def test_direct_routing_follows_the_engines_own_option() -> None:
    assert "br-*" in render("docker", "firewall.nft.j2")
    opened = render(
        "docker", "firewall.nft.j2", docker_daemon_options={"allow-direct-routing": True}
    )
    assert "br-*" not in opened
    assert "127.0.0.0/8" in opened
