"""playbooks/teardown.yml: the host is as it was before the stack; site.yml brings it back."""

from __future__ import annotations

import pytest

from tests.ec2.traces import left
from tests.lab import Lab

TEARDOWN = "playbooks/teardown.yml"
YES = ("-e", "teardown_confirm=yes")


@pytest.fixture(scope="module")
def lab(machine: Lab, blank: dict[str, set[str]]) -> Lab:
    """The machine of the lab day, with the stack that the day has brought there."""
    assert blank
    return machine


def test_the_stack_goes_and_comes_back(lab: Lab, blank: dict[str, set[str]]) -> None:
    run = lab.play()
    assert run.status == 0, run.output[-4000:]
    password = lab.ssh("sudo cat /etc/labstack/secrets/grafana_admin_password").stdout
    rows = (
        "sudo docker exec webapp-mysql-1 sh -c 'ls /var/lib/mysql/webapp 2>/dev/null | head -3';"
        " sudo docker volume inspect -f '{{.CreatedAt}}' webapp_mysql-data"
    )
    database = lab.ssh(rows).stdout

    asked = lab.play(playbook=TEARDOWN)
    assert asked.status != 0
    assert "teardown_confirm=yes" in asked.output
    assert asked.recap["changed"] == 0

    told = lab.play(*YES, "--check", playbook=TEARDOWN)
    assert told.status == 0, told.output[-4000:]
    assert told.recap["changed"] > 0
    assert lab.ssh("systemctl is-active prometheus grafana-server docker").returncode == 0

    run = lab.play(*YES, playbook=TEARDOWN)
    assert run.status == 0, run.output[-4000:]
    remains = left(lab, blank)
    # The secrets stay with the data; dpkg keeps the settings of packages that were not purged.
    ours = {path for path in remains.pop("files", set()) if not path.startswith("/etc/labstack")}
    assert not {path for path in ours if "grafana" in path or "prometheus" in path}, ours
    assert not {path for path in ours if path.startswith(("/opt", "/usr/local"))}, ours
    data = {path for path in remains.pop("data", set()) if not path.startswith("/var/lib/apt")}
    assert {"/var/lib/grafana", "/var/lib/prometheus", "/var/lib/alertmanager"} <= data
    for what in ("running", "users", "sources", "ports", "held"):
        assert what not in remains, remains[what]

    again = lab.play(*YES, playbook=TEARDOWN)
    assert again.status == 0, again.output[-4000:]
    assert again.recap["changed"] == 0, again.output[-4000:]

    run = lab.play()
    assert run.status == 0, run.output[-4000:]
    assert lab.ssh("sudo cat /etc/labstack/secrets/grafana_admin_password").stdout == password
    assert lab.ssh(rows).stdout == database


def test_with_the_data_nothing_is_left(lab: Lab, blank: dict[str, set[str]]) -> None:
    run = lab.play(*YES, "-e", "teardown_data=true", playbook=TEARDOWN)
    assert run.status == 0, run.output[-4000:]
    assert left(lab, blank) == {}
    again = lab.play(*YES, "-e", "teardown_data=true", playbook=TEARDOWN)
    assert again.recap["changed"] == 0, again.output[-4000:]
