"""Three hosts, one of which monitors the others: site.yml as it is, and an inventory for it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest

from tests.ask import ask, wait_until
from tests.lab import ROOT, Lab, Run

INVENTORY = str(ROOT / "tests" / "several_hosts" / "inventory.yml")
NAMES = ("mon", "web1", "web2")
MONITORED = ("labstack-hosts-web1", "labstack-hosts-web2")


@dataclass(frozen=True)
class Hosts:
    """The three hosts after a run of site.yml.

    Attributes:
        lab: the lab that they are in.
        addresses: by container's name.
        password: the monitoring host's own.
    """

    lab: Lab
    addresses: dict[str, str]
    password: str

    @property
    def monitor(self) -> str:
        """The monitoring host's address."""
        return self.addresses["labstack-hosts-mon"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Ask Prometheus for the value of an expression now."""
        url = f"http://{self.monitor}:9090/api/v1/query?query={quote(expression)}"
        return list(ask(url, "monitor", self.password).json()["data"]["result"])


def play(lab: Lab, *arguments: str) -> Run:
    return lab.play("-i", INVENTORY, *arguments)


def changed(output: str) -> list[int]:
    return [int(count) for count in re.findall(r"changed=(\d+)", output)]


@pytest.fixture(scope="module")
def hosts() -> Iterator[Hosts]:
    lab = Lab("hosts", NAMES)
    lab.down()
    lab.up()
    run = play(lab)
    assert run.status == 0, run.output[-6000:]
    password = lab.ssh("sudo cat /etc/labstack/secrets/monitoring_password", host="mon").stdout
    yield Hosts(lab, lab.addresses, password.strip())
    lab.down()


def test_a_second_run_changes_nothing_on_any(hosts: Hosts) -> None:
    run = play(hosts.lab)
    assert run.status == 0, run.output[-6000:]
    assert changed(run.output) == [0, 0, 0]


def test_every_job_lists_its_hosts_and_all_are_up(hosts: Hosts) -> None:
    wait_until(lambda: len(hosts.query('up{job="node"} == 1')) == 3, 30)
    found = {(s["metric"]["job"], s["metric"]["host"]) for s in hosts.query("up == 1")}
    monitor = "labstack-hosts-mon"
    assert {job for job, host in found if host == monitor} == {
        "alertmanager",
        "node",
        "prometheus",
        "ssh",
    }
    for name in MONITORED:
        assert {job for job, host in found if host == name} == {"mysql", "node", "ssh"}
    assert hosts.query("up == 0") == []
    wait_until(lambda: len(hosts.query('probe_success{job="ssh"} == 1')) == 3, 30)


def test_dashboard_1860_can_choose_each_host(hosts: Hosts) -> None:
    """Its variables are job, nodename and instance (node_uname_info)."""
    series = [sample["metric"] for sample in hosts.query('node_uname_info{job="node"}')]
    assert {metric["nodename"] for metric in series} == set(NAMES)
    assert len({metric["instance"] for metric in series}) == 3


def test_only_the_monitoring_host_monitors(hosts: Hosts) -> None:
    units = ("prometheus", "alertmanager", "grafana-server", "node_exporter")
    command = "systemctl is-active " + " ".join(units) + " || true"
    assert hosts.lab.ssh(command, host="mon").stdout.split() == ["active"] * 4
    for name in NAMES[1:]:
        assert hosts.lab.ssh(command, host=name).stdout.split() == ["inactive"] * 3 + ["active"]


@pytest.mark.parametrize("name", MONITORED)
@pytest.mark.parametrize("port", [9100, 9104])
def test_a_monitored_host_answers_with_the_monitoring_password_only(
    name: str, port: int, hosts: Hosts
) -> None:
    url = f"http://{hosts.addresses[name]}:{port}/metrics"
    assert ask(url).status == 401
    own = "sudo cat /etc/labstack/secrets/monitoring_password"
    password = hosts.lab.ssh(own, host=name.rpartition("-")[2]).stdout.strip()
    assert password != hosts.password
    assert ask(url, "monitor", password).status == 401
    assert ask(url, "monitor", hosts.password).status == 200


@pytest.mark.parametrize("name", NAMES[1:])
def test_the_monitoring_password_is_nowhere_on_a_monitored_host(name: str, hosts: Hosts) -> None:
    places = "/etc /opt /usr/local /var/lib /var/log /run /tmp /home /root"
    # By standard input: sudo logs the command.
    look = f'p=$(cat); grep -rlsF -- "$p" {places}; journalctl --no-pager | grep -cF -- "$p"'
    done = hosts.lab.ssh(f"sudo sh -c '{look}'", text=hosts.password, host=name)
    assert done.stdout.split() == ["0"]


def test_a_host_that_is_gone_is_told_and_its_symptoms_are_not(hosts: Hosts) -> None:
    alert = 'ALERTS{alertname="HostDown", host="labstack-hosts-web2", alertstate="firing"}'
    with hosts.lab.frozen("web2"):
        wait_until(lambda: hosts.query(alert), 180)
        wait_until(lambda: "HostDown" in amtool(hosts), 60)
        assert "TargetDown" not in amtool(hosts)


def amtool(hosts: Hosts) -> str:
    """Return the alerts of Alertmanager that are not silenced by others."""
    command = "amtool --alertmanager.url http://localhost:9093 alert query --active"
    return str(hosts.lab.ssh(command, host="mon").stdout)


def test_a_run_that_leaves_the_monitoring_server_out_says_so(hosts: Hosts) -> None:
    run = play(hosts.lab, "--limit", "labstack-hosts-web1")
    assert run.status != 0
    assert "--limit labstack-hosts-mon,labstack-hosts-web1" in run.output
