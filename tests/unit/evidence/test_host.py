"""What the host's commands print is read as it is meant."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from evidence import host

COMPOSE = {
    "Service": "apache",
    "Name": "webapp-apache-1",
    "Image": "webapp/apache:1",
    "State": "running",
    "Health": "healthy",
    "Status": "Up 2 minutes (healthy)",
    "ExitCode": 0,
    "Publishers": [
        {"URL": "203.0.113.7", "TargetPort": 80, "PublishedPort": 80, "Protocol": "tcp"},
        {"URL": "", "TargetPort": 8080, "PublishedPort": 0, "Protocol": "tcp"},
    ],
}


@pytest.mark.parametrize("text", [json.dumps(COMPOSE), json.dumps([COMPOSE])])
def test_compose_prints_a_line_each_or_one_list(text: str) -> None:
    (found,) = host.containers(text)
    assert found["service"] == "apache"
    assert found["ports"] == "203.0.113.7:80->80"


@pytest.mark.parametrize(
    ("words", "holds"),
    [
        ({}, "true"),
        ({"Health": "unhealthy"}, "false"),
        ({"Health": "starting"}, "false"),
        ({"State": "exited", "Health": "", "ExitCode": 0}, "true"),
        ({"State": "exited", "Health": "", "ExitCode": 1}, "false"),
        ({"State": "restarting", "Health": ""}, "false"),
    ],
)
def test_a_container_holds_when_it_is_healthy_or_has_done_its_work(
    words: dict[str, Any], holds: str
) -> None:
    assert host.containers(json.dumps(COMPOSE | words))[0]["holds"] == holds


SHOWN = """\
Type=simple
Id=prometheus.service
LoadState=loaded
ActiveState=active
UnitFileState=enabled
NRestarts=0
Result=success
User=prometheus
DynamicUser=no
MemoryMax=268435456
MemoryCurrent=85073920
ProtectSystem=strict
PrivateDevices=yes
NoNewPrivileges=yes
SystemCallFilter=read write

Type=oneshot
Id=container_metrics.service
LoadState=loaded
ActiveState=inactive
Result=success
DynamicUser=yes
MemoryMax=infinity
MemoryCurrent=[not set]

Id=gone.service
LoadState=not-found
ActiveState=inactive
"""
SECURITY = """\
UNIT                       EXPOSURE PREDICATE HAPPY
prometheus.service              1.1 OK        :-)
ssh.service                     9.6 UNSAFE    :-{
"""


def test_units_are_read_with_their_exposure() -> None:
    timed, prometheus = host.units(SHOWN, SECURITY)
    assert prometheus["unit"] == "prometheus.service"
    assert (prometheus["memory"], prometheus["memory_limit"]) == (85073920, 268435456)
    assert prometheus["exposure"] == 1.1
    assert prometheus["holds"]
    assert prometheus["system_calls"]
    _, free = host.units(SHOWN.replace("Filter=read write", "Filter=~"), "")
    assert not free["system_calls"]
    # A timer runs it, and it has ended well.
    assert (timed["unit"], timed["holds"]) == ("container_metrics.service", True)
    assert (timed["memory"], timed["memory_limit"], timed["exposure"]) == (None, None, None)
    assert timed["user"] == "dynamic"


def test_a_service_that_is_down_does_not_hold() -> None:
    (unit,) = host.units(SHOWN.split("\n\n", maxsplit=1)[0].replace("=active", "=failed"), "")
    assert not unit["holds"]


def test_a_service_that_fails_again_and_again_does_not_hold() -> None:
    """A oneshot or not: systemd says "activating" while it waits to try once more."""
    for block in SHOWN.split("\n\n")[:2]:
        tried = re.sub("ActiveState=.*", "ActiveState=activating\nSubState=auto-restart", block)
        (unit,) = host.units(tried.replace("Result=success", "Result=exit-code"), "")
        assert not unit["holds"]


def test_a_degraded_host_names_what_failed() -> None:
    said = {"state": "degraded\n", "failed": "certbot.service loaded failed failed Renew\n"}
    assert host.system(said)["state"] == "degraded: certbot.service"
    assert host.system({"state": "running\n", "failed": ""})["state"] == "running"


def test_checksums_and_errors_among_them() -> None:
    text = f"{'a' * 64}  /usr/local/bin/x\nsha256sum: /nowhere: No such file\n"
    assert host.checksums(text) == {"/usr/local/bin/x": "a" * 64}


def test_versions_and_what_else_a_program_says() -> None:
    text = "prometheus, version 3.13.4 (branch: HEAD)\nsh: 1: /usr/local/bin/x: not found\n"
    assert host.versions(text) == {"prometheus": "3.13.4"}


def test_packages_that_are_installed() -> None:
    text = "grafana 13.2.3 installed\ndocker.io 26.1 not-installed\ndocker-ce\n"
    assert host.packages(text) == {"grafana": "13.2.3"}


def test_images_that_have_no_name_are_left_out() -> None:
    rows = [
        {"Repository": "webapp/apache", "Tag": "1", "ID": "sha256:1", "Digest": "<none>"},
        {"Repository": "<none>", "Tag": "<none>", "ID": "sha256:2", "Digest": "<none>"},
    ]
    (found,) = host.images("\n".join(map(json.dumps, rows)))
    assert found == {"image": "webapp/apache:1", "id": "sha256:1", "digest": ""}
