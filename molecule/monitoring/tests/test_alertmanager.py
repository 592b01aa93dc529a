"""Alerts reach someone: load is told by e-mail, webhook and Slack, and so is its end."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

from tests.ask import wait_until
from tests.lab import Lab

AMTOOL = "/usr/local/bin/amtool --alertmanager.url=http://localhost:9093"
CONVERGE = "molecule/monitoring/converge.yml"
RECEIVERS = Path(__file__).parents[3] / "tests" / "receivers.py"
MESSAGES = "/run/messages.jsonl"
EXPOSURE_LIMIT = 2.0  # systemd-analyze's points
RESTART_LIMIT = 60.0  # seconds; another lane keeps the machine busy
# The alert looks back 15 seconds (converge.yml) and waits for 5 more; then comes the delivery.
FIRE_LIMIT = 120.0  # seconds
# Longer where the machine, whose counters these are, has other work too.
RESOLVE_LIMIT = 900.0  # seconds
DELIVERY_LIMIT = 60.0  # seconds

Messages = Callable[[str], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def receivers(host: Host) -> Iterator[Messages]:
    """Start the receivers on the host; return what has come by "smtp" or to a path of "http"."""
    code = base64.b64encode(RECEIVERS.read_bytes()).decode()
    host.run("systemctl stop receivers; systemctl reset-failed receivers")
    host.check_output(f"echo {code} | base64 -d > /run/receivers.py; rm -f {MESSAGES}")
    host.check_output(
        f"systemd-run --unit=receivers python3 /run/receivers.py 2525 5001 {MESSAGES}"
    )
    wait_until(lambda: host.socket("tcp://127.0.0.1:2525").is_listening, 10)
    wait_until(lambda: host.socket("tcp://127.0.0.1:5001").is_listening, 10)

    def come(by: str) -> list[dict[str, Any]]:
        lines = host.run(f"cat {MESSAGES}").stdout.splitlines()
        messages = [json.loads(line) for line in lines]
        return [m for m in messages if by in (m["by"], m.get("path"))]

    yield come
    host.run("systemctl stop receivers")


@pytest.fixture
def load(host: Host) -> Iterator[Callable[[], None]]:
    """Keep every processor of the host busy until the function returned is called.

    A stand-in host shares its counters with the machine, so all the machine's processors have to be
    busy: its limit is lifted for that time, and its share of a machine that others use is small.
    """
    container = host.backend.get_pytest_id().split("://")[1]
    count = os.cpu_count() or 1

    def limit(processors: int, shares: int) -> None:
        subprocess.run(
            ["docker", "update", f"--cpus={processors}", f"--cpu-shares={shares}", container],
            check=True,
            capture_output=True,
        )

    def stop() -> None:
        host.run("systemctl stop load")
        limit(1, 1024)

    limit(count, 128)
    host.run("systemctl reset-failed load")
    busy = f"for i in $(seq {count}); do (while :; do :; done) & done; wait"
    host.check_output("systemd-run --unit=load --nice=19 sh -c %s", busy)
    yield stop
    stop()


def about(messages: list[dict[str, Any]], alert: str, status: str) -> list[dict[str, Any]]:
    """Return the webhook messages about an alert in that status."""
    return [
        message
        for message in messages
        for one in message["body"]["alerts"]
        if one["labels"]["alertname"] == alert and one["status"] == status
    ]


def test_starts_at_boot_and_runs(host: Host) -> None:
    assert host.service("alertmanager").is_enabled
    assert host.service("alertmanager").is_running


def test_listens_for_the_host_alone_and_gossips_with_nobody(host: Host) -> None:
    lines = host.check_output("ss -Hlntup | grep alertmanager").splitlines()
    assert [line.split()[4] for line in lines] == ["127.0.0.1:9093"]


def test_only_root_reads_the_channels_secrets(host: Host) -> None:
    file = host.file("/etc/alertmanager/alertmanager.yml")
    assert (file.user, file.group, file.mode) == ("root", "root", 0o600)
    assert host.file("/etc/alertmanager").mode == 0o700


def test_is_sealed_off(host: Host) -> None:
    report = host.check_output("systemd-analyze security --no-pager alertmanager.service")
    exposure = re.search(r"exposure level for alertmanager\.service: ([\d.]+)", report)
    assert exposure
    assert float(exposure[1]) <= EXPOSURE_LIMIT


def test_prometheus_knows_it(host: Host) -> None:
    config = host.file("/etc/prometheus/prometheus.yml").content_string
    assert re.search(
        r"alertmanagers:\s+- static_configs:\s+- targets: \[\"localhost:9093\"\]", config
    )


def test_a_host_that_is_down_silences_its_symptoms(host: Host, receivers: Messages) -> None:
    alerts = "HostDown host=a severity=critical", "HostMemoryLow host=a", "HostMemoryLow host=b"
    for alert in alerts:
        host.check_output(f"{AMTOOL} alert add {alert}")

    def told() -> set[str]:
        shown = json.loads(host.check_output(f"{AMTOOL} alert query --output=json"))
        return {
            f"{alert['labels']['alertname']} {alert['labels']['host']}"
            for alert in shown
            if alert["labels"].get("host") in ("a", "b")
        }

    wait_until(lambda: told() == {"HostDown a", "HostMemoryLow b"}, 10)
    wait_until(lambda: about(receivers("/hook"), "HostDown", "firing"), DELIVERY_LIMIT)


def test_a_wrong_value_is_refused_with_the_checkers_words(host: Host) -> None:
    before = host.check_output("sha256sum /etc/alertmanager/alertmanager.yml")
    lab = Lab(os.environ["LABSTACK_LAB"])
    run = lab.play("-e", "alertmanager_group_wait=soon", playbook=CONVERGE)
    assert run.status != 0
    assert "not a valid duration" in run.output
    assert host.check_output("sha256sum /etc/alertmanager/alertmanager.yml") == before
    assert host.service("alertmanager").is_running


def test_somebody_to_write_to_without_a_mail_server_is_refused() -> None:
    lab = Lab(os.environ["LABSTACK_LAB"])
    run = lab.play("-e", "alertmanager_smtp_smarthost=", playbook=CONVERGE)
    assert run.status != 0
    assert "alertmanager_smtp_smarthost" in run.output


def test_load_is_told_and_its_end_too(
    host: Host, address: str, receivers: Messages, load: Callable[[], None]
) -> None:
    """HighCPUUsage, from the processor to the mailbox; its minutes are seconds here."""
    wait_until(lambda: about(receivers("/hook"), "HighCPUUsage", "firing"), FIRE_LIMIT)
    (message, *_) = about(receivers("/hook"), "HighCPUUsage", "firing")
    (alert,) = message["body"]["alerts"]
    assert alert["annotations"]["summary"] == "CPU alta en localhost:9100"
    assert alert["annotations"]["description"] == "CPU mayor al 80%"
    # Whichever "localhost" it is about, and where to read on.
    machine = host.backend.get_pytest_id().split("://")[1]
    assert message["body"]["groupLabels"]["host"] == machine
    assert alert["labels"]["address"] == address
    assert alert["annotations"]["runbook_url"].startswith("https://")

    def mails(status: str) -> list[dict[str, Any]]:
        wanted = rf"\[{status}.*HighCPUUsage"
        return [m for m in receivers("smtp") if re.search(wanted, m["subject"])]

    wait_until(lambda: mails("FIRING"), DELIVERY_LIMIT)
    assert mails("FIRING")[0]["to"] == ["operator@example.net"]
    assert machine in mails("FIRING")[0]["subject"]
    assert "CPU alta en localhost:9100" in mails("FIRING")[0]["text"]
    wait_until(lambda: receivers("/slack"), DELIVERY_LIMIT)
    load()
    wait_until(lambda: about(receivers("/hook"), "HighCPUUsage", "resolved"), RESOLVE_LIMIT)
    wait_until(lambda: mails("RESOLVED"), DELIVERY_LIMIT)


def test_the_dead_mans_switch_fires_and_bothers_nobody(host: Host, receivers: Messages) -> None:
    shown = json.loads(host.check_output(f"{AMTOOL} alert query alertname=Watchdog --output=json"))
    assert len(shown) == 1
    assert not about(receivers("/hook"), "Watchdog", "firing")


def test_comes_back_after_a_kill(host: Host) -> None:
    before = host.check_output("systemctl show --property=MainPID --value alertmanager")
    host.check_output("kill -9 %s", before)

    def back() -> bool:
        now = host.check_output("systemctl show --property=MainPID --value alertmanager")
        return now not in ("0", before) and host.run(f"{AMTOOL} config show").rc == 0

    wait_until(back, RESTART_LIMIT)
