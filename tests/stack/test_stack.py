"""The whole stack on one host, seen from that host: what must never be true, whoever looks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from testinfra.host import Host

SECRETS = "/etc/labstack/secrets"
UNITS = ["docker", "prometheus", "node_exporter", "grafana-server"]
CONTAINERS = ["webapp"]


@pytest.fixture(scope="module")
def secrets(host: Host) -> dict[str, str]:
    lines = host.check_output(f"grep -r . {SECRETS}").splitlines()
    return {
        path.rsplit("/", 1)[1]: value for path, _, value in (line.partition(":") for line in lines)
    }


@pytest.mark.parametrize("name", UNITS)
def test_a_service_runs_and_will_run_after_a_boot(host: Host, name: str) -> None:
    assert host.service(name).is_running
    assert host.service(name).is_enabled


@pytest.mark.parametrize("name", ["apache", "flask-app", "mysql"])
def test_a_container_is_healthy(host: Host, name: str) -> None:
    found = host.check_output(
        "docker ps --filter label=com.docker.compose.service=%s --format '{{.Status}}'", name
    )
    assert "(healthy)" in found


def test_only_the_documented_ports_are_reachable(host: Host) -> None:
    listening = {
        line.split()[3]
        for line in host.check_output("ss -Hltn").splitlines()
        if not re.match(r"(127\.|\[::1\])", line.split()[3])
    }
    published = set(
        re.findall(r"0\.0\.0\.0:(\d+)->", host.check_output("docker ps --format '{{.Ports}}'"))
    )
    ports = {address.rsplit(":", 1)[1] for address in listening} | published
    assert ports == {"22", "80", "443", "3000", "9090", "9100"}


def test_no_secret_is_where_somebody_else_reads(host: Host, secrets: dict[str, str]) -> None:
    """Neither in a container's configuration, nor in a command line, an environment, a log."""
    places = {
        "docker inspect": "docker ps -aq | xargs -n 1 docker inspect",
        "image layers": "docker images -q | sort -u | xargs -n 1 docker history --no-trunc",
        "the process list": "ps auxww",
        "the journal": "journalctl --no-pager",
        "container logs": "docker ps -aq | xargs -n 1 docker logs 2>&1",
    }
    assert len(secrets) >= 7
    for place, command in places.items():
        text = host.check_output(command)
        assert text, place
        for name, value in secrets.items():
            assert value not in text, f"{name} is in {place}"


def test_no_secret_is_in_a_file_that_everybody_reads(host: Host) -> None:
    script = (
        "find /etc /opt /var/log /var/lib/grafana /var/lib/prometheus /home /tmp /usr/local "
        "-type f -perm -o+r -print0 2>/dev/null | xargs -0 grep -lF -f /root/.patterns"
    )
    host.check_output("install -m 0600 /dev/null /root/.patterns")
    try:
        # Made on the host: a command line ends up in sudo's journal.
        host.check_output(f"grep -rh . {SECRETS} > /root/.patterns")
        found = host.run(script).stdout.splitlines()
    finally:
        host.check_output("rm -f /root/.patterns")
    # A directory that only root enters protects what is below it.
    reachable = [
        path for path in found if host.run("runuser -u nobody -- test -r %s", path).rc == 0
    ]
    assert reachable == []


def test_only_root_enters_the_secrets(host: Host) -> None:
    assert host.file(SECRETS).mode == 0o700
    assert host.run(f"runuser -u ubuntu -- ls {SECRETS}").rc != 0


def test_nothing_was_killed_for_memory(host: Host) -> None:
    """Of the host and its units. A test lets a container reach a limit of its own."""
    if host.file("/sys/fs/cgroup/memory").is_directory:
        # Each group counts for itself.
        script = (
            "cd /sys/fs/cgroup/memory; find . -path './docker/*' -prune"
            " -o -name memory.oom_control -print | xargs sed -n 's/^oom_kill //p'"
        )
    else:
        # `oom` counts where the limit was reached.
        script = (
            "cd /sys/fs/cgroup; find . -path './system.slice/docker-*' -prune"
            " -o -name memory.events.local -print | xargs sed -n 's/^oom //p'"
        )
    counts = host.check_output(script).split()
    assert len(counts) > 10
    assert set(counts) == {"0"}
