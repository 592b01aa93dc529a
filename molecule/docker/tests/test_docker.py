"""The engine on a converged host, as somebody who runs containers sees it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator

import pytest
from testinfra.host import Host

from tests.ask import wait_until
from tests.lab import Lab

IMAGE = "httpd:2.4"
PULL_LIMIT = 120.0  # seconds
RESTART_LIMIT = 60.0  # seconds; another lane keeps the machine busy
COMPOSE = f"""\
services:
  web:
    image: {IMAGE}
    ports: ["127.0.0.1:8088:80", "8089:80"]
"""
# The host has no curl; asking the way a program on the host would.
ASK = "python3 -c 'import urllib.request as r; print(r.urlopen(\"http://127.0.0.1:8088/\").status)'"


@pytest.fixture(scope="module")
def project(host: Host) -> Iterator[str]:
    """Run a container by Compose; return the command of its project."""
    host.check_output("mkdir -p /root/docker-test")
    host.check_output("printf %%s %s > /root/docker-test/compose.yaml", COMPOSE)
    compose = "docker compose --project-directory /root/docker-test"
    host.check_output(f"{compose} up --detach --wait")
    wait_until(lambda: host.run(ASK).stdout.strip() == "200", RESTART_LIMIT)
    yield compose
    host.check_output(f"{compose} down --volumes --rmi all")
    host.check_output("rm -r /root/docker-test")


def container(host: Host) -> dict[str, object]:
    described: list[dict[str, object]] = json.loads(
        host.check_output("docker inspect docker-test-web-1")
    )
    return described[0]


def test_starts_at_boot_and_runs(host: Host) -> None:
    service = host.service("docker")
    assert service.is_enabled
    assert service.is_running


def test_there_is_one_engine(host: Host) -> None:
    assert not host.file("/snap/bin/docker").exists
    assert len(host.process.filter(comm="dockerd")) == 1


@pytest.mark.parametrize(
    ("command", "beginning"),
    [("docker compose version --short", "2."), ("docker buildx version", "")],
)
def test_has_compose_2_and_buildx(host: Host, command: str, beginning: str) -> None:
    version = host.check_output(command).removeprefix("v")
    assert version.startswith(beginning) or int(version.split(".")[0]) > 2


def test_runs_with_the_written_configuration(host: Host) -> None:
    information = json.loads(host.check_output("docker info --format '{{json .}}'"))
    assert information["LoggingDriver"] == "local"
    assert information["LiveRestoreEnabled"] is True
    file = host.file("/etc/docker/daemon.json")
    assert (file.user, file.group, file.mode) == ("root", "root", 0o644)
    written = json.loads(file.content_string)
    mirrors = [mirror.rstrip("/") for mirror in information["RegistryConfig"]["Mirrors"] or []]
    assert mirrors == [mirror.rstrip("/") for mirror in written["registry-mirrors"]]


def test_a_published_port_answers_without_a_proxy_process(host: Host, project: str) -> None:
    assert project
    assert host.run(ASK).stdout.strip() == "200"
    assert host.process.filter(comm="docker-proxy") == []


@pytest.mark.usefixtures("project")
def test_a_containers_log_is_limited(host: Host) -> None:
    settings = container(host)["HostConfig"]
    assert isinstance(settings, dict)
    assert settings["LogConfig"] == {
        "Type": "local",
        "Config": {"max-file": "3", "max-size": "10m"},
    }


@pytest.mark.usefixtures("project")
def test_containers_outlive_an_engine_that_is_killed(host: Host) -> None:
    state = container(host)["State"]
    assert isinstance(state, dict)
    began = state["StartedAt"]
    engine = host.check_output("systemctl show --property=MainPID --value docker")
    host.check_output("kill -9 %s", engine)
    wait_until(lambda: host.run("docker info").rc == 0, RESTART_LIMIT)
    assert host.check_output("systemctl show --property=MainPID --value docker") != engine
    assert host.run(ASK).stdout.strip() == "200"
    state = container(host)["State"]
    assert isinstance(state, dict)
    assert (state["Running"], state["StartedAt"]) == (True, began)


# Another machine of the network, with routes over the host to its containers and to its loopback.
NEIGHBOUR = """\
sysctl --quiet --write net.ipv4.conf.all.route_localnet=1
ip route del table local local 127.0.0.0/8 dev lo
ip address del 127.0.0.1/8 dev lo
ip route replace 127.0.0.0/8 via {host}
ip route replace {container}/32 via {host}
"""
# Prints whether somebody takes a connection.
CONNECT = """\
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=2).close()
    print("open")
except OSError:
    print("closed")
"""


@pytest.fixture(scope="module")
def container_address(host: Host, project: str) -> str:
    assert project
    template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    return str(host.check_output("docker inspect -f %s docker-test-web-1", template))


@pytest.fixture(scope="module")
def neighbour(container_address: str) -> Iterator[Callable[[str, int], str]]:
    """Asks another machine of the network to connect to an address and port: open or closed."""
    ours = os.environ["LABSTACK_LAB"]
    lab = Lab(f"{ours}-neighbour")
    lab.up()
    routes = NEIGHBOUR.format(host=Lab(ours).address, container=container_address)
    made = lab.ssh("sudo sh -e -s", routes)
    assert made.returncode == 0, made.stderr
    yield lambda address, port: lab.ssh(f"python3 - {address} {port}", CONNECT).stdout.strip()
    lab.down()


def closed_to(neighbour: Callable[[str, int], str], container_address: str, published: str) -> None:
    """Assert what a neighbour of the host reaches, and what it does not."""
    assert neighbour(published, 8089) == "open"
    assert neighbour(container_address, 80) == "closed"
    assert neighbour("127.0.0.1", 8088) == "closed"


def test_a_neighbour_reaches_what_is_published_to_it_and_no_more(
    host: Host, neighbour: Callable[[str, int], str], container_address: str
) -> None:
    address = Lab(os.environ["LABSTACK_LAB"]).address
    closed_to(neighbour, container_address, address)
    # As after a reboot, before the engine starts. One before 28 leaves both open then.
    host.check_output("nft delete table inet labstack_docker")
    if int(host.check_output("docker version -f '{{.Server.Version}}'").split(".")[0]) < 28:
        assert neighbour(container_address, 80) == "open"
        assert neighbour("127.0.0.1", 8088) == "open"
    host.check_output("systemctl restart docker")
    closed_to(neighbour, container_address, address)
    assert host.run(ASK).stdout.strip() == "200"


def test_nobody_is_in_the_group_without_being_asked_for(host: Host) -> None:
    assert host.group("docker").exists
    assert host.group("docker").members == []
