"""A lab day, as the README tells it: pasted credentials, up, a new address, another machine, down.

AWS is a stand-in, and a stand-in host plays the instance's machine: what happens to the instance in
AWS, the tests do to the host.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
import requests

from tests.ec2.cloud import give_addresses
from tests.lab import ROOT, Lab, Run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.ec2.cloud import Cloud

# As the Learner Lab shows it under AWS Details > AWS CLI.
BLOCK = """\
[default]
aws_access_key_id=ASIAEXAMPLE
aws_secret_access_key=wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY
aws_session_token=IQoJb3JpZ2luX2VjEJr//////////wEaCXVzLXdlc3QtMiJHMEUCIQDexample==
"""
SITE = ["ansible-playbook", "-i", "inventory/aws_ec2.yml", "site.yml"]


def upstreams(cloud: Cloud) -> list[str]:
    """The arguments that make stand-ins of what is out of reach."""
    arguments = ["-e", f"stack_checkip_url={cloud.own_address_url}"]
    if (ROOT / "inventory/lab/group_vars/lab/upstreams.yml").exists():
        arguments += ["-e", "@inventory/lab/group_vars/lab/upstreams.yml"]
    return arguments


@pytest.fixture
def student(cloud: Cloud, learner_lab: Path) -> Cloud:
    """A student who has pasted the block; the private key lies in the home directory."""
    cloud.environment["AWS_SHARED_CREDENTIALS_FILE"] = str(cloud.home / "credentials")
    # HOME is another one for this test's commands than for the key's default place.
    cloud.environment["EC2_KEY"] = str(learner_lab)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        del cloud.environment[name]
    pasted = cloud.run("./lab", "ec2", "credentials", given=BLOCK)
    assert pasted.status == 0, pasted.output
    return cloud


@pytest.fixture
def up(student: Cloud) -> Cloud:
    """A student whose instance runs the stack."""
    run = student.run("./lab", "ec2", "up", *upstreams(student))
    assert run.status == 0, run.output[-6000:]
    assert "Prometheus" in run.output.rpartition("PLAY RECAP")[2]
    return student


def changed_tasks(run: Run) -> set[str]:
    """The names of the tasks that changed something."""
    found, task = set(), ""
    for line in run.output.splitlines():
        headline = re.match(r"TASK \[(.*)\] \*+", line)
        if headline:
            task = headline.group(1)
        elif line.startswith("changed:"):
            found.add(task)
    return found


def state(lab: Lab) -> dict[str, str]:
    """What must survive: secrets, data, and what has no reason to be made anew."""
    commands = {
        "secrets": "sudo sha256sum /etc/labstack/secrets/* | sha256sum",
        "volume": "sudo docker volume inspect -f '{{.CreatedAt}}' webapp_mysql-data",
        "release": "readlink /opt/webapp/current",
        "rules": "sudo stat -c %Y /etc/prometheus/rules.yml",
        "mysql": "sudo docker inspect -f '{{.State.StartedAt}}' webapp-mysql-1 | cut -c1-10",
    }
    seen = {name: lab.ssh(command).stdout.strip() for name, command in commands.items()}
    seen["product"] = str(
        "lab day" in requests.get(f"http://{lab.address}/api/products", timeout=10).text
    )
    return seen


def test_from_the_pasted_block_to_the_page(up: Cloud, machine: Lab) -> None:
    """The first test builds the stack; the fixture has asserted that it is verified."""
    kept = up.home / "credentials"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert "region = us-east-1" in kept.read_text()
    page = up.run("curl", "-fsS", f"http://{machine.address}/")
    assert "<html" in page.output.lower()

    status = up.run("./lab", "ec2", "status")
    assert status.status == 0, status.output
    assert "running, for" in status.output
    assert re.search(rf"http://{machine.address}:3000/ .* answers", status.output)
    assert re.search(rf"https://{machine.address}/ .* answers", status.output)

    password = up.run(
        "./lab", "ec2", "ssh", "sudo", "cat", "/etc/labstack/secrets/grafana_admin_password"
    )
    assert re.fullmatch(r"[A-Za-z0-9]{32}", password.output.strip()), password.output

    listed = up.run("ansible-inventory", "-i", "inventory/aws_ec2.yml", "--list")
    hosts = json.loads(listed.output)["_meta"]["hostvars"]
    assert list(hosts) == ["ec2"]
    # Ansible marks what comes from outside as not to be templated.
    assert hosts["ec2"]["ansible_host"] == {"__ansible_unsafe": machine.address}

    again = up.run("./lab", "ec2", "up", *upstreams(up))
    assert again.status == 0, again.output[-4000:]
    assert changed_tasks(again) == set()


def test_the_same_machine_on_a_new_address(up: Cloud, machine: Lab) -> None:
    secret = machine.ssh("sudo cat /etc/labstack/secrets/webapp_admin_password").stdout.strip()
    product = {"name": "lab day", "description": "x", "price": "1.00", "stock": 1}
    site = f"http://{machine.address}/api/products"
    requests.post(site, json=product, auth=("admin", secret), timeout=10).raise_for_status()
    before, old = state(machine), machine.address

    identity = up.instance()["InstanceId"]
    up.client().stop_instances(InstanceIds=[identity])
    stopped = up.run(*SITE, *upstreams(up))
    assert stopped.status != 0
    assert f"The instance {identity} is stopped" in stopped.output

    new = machine.move()
    assert new != old
    give_addresses(new)
    run = up.play("playbooks/provision.yml", *upstreams(up))
    assert run.status == 0, run.output
    assert changed_tasks(run) == {"ec2_instance : start | Start it"}

    run = up.run(*SITE, *upstreams(up))
    assert run.status == 0, run.output[-6000:]
    followed = changed_tasks(run)
    print(f"a new address took {run.seconds:.1f} s and changed: {sorted(followed)}")
    assert state(machine) == before
    assert f"http://{new}:3000/" in machine.ssh("sudo cat /etc/grafana/grafana.ini").stdout
    assert f"http://{new}:9090/" in machine.ssh("systemctl cat prometheus").stdout
    assert old not in machine.ssh("sudo cat /etc/grafana/grafana.ini").stdout
    assert {task.split(" : ")[0] for task in followed} <= {"webapp", "prometheus", "grafana"}


@pytest.fixture
def other() -> Iterator[Lab]:
    """Another machine."""
    lab = Lab("ec2other")
    lab.up()
    yield lab
    lab.down()


def test_another_machine_behind_the_address(up: Cloud, other: Lab) -> None:
    identity = up.instance()["InstanceId"]
    up.client().stop_instances(InstanceIds=[identity])
    give_addresses(other.address)
    up.client().start_instances(InstanceIds=[identity])
    run = up.run(*SITE, *upstreams(up))
    assert run.status != 0
    assert f"{other.address} is another machine than {identity}" in run.output
    assert run.recap["changed"] == 0
    assert "No such file" in other.ssh("ls /etc/labstack").stderr


def test_without_credentials_the_other_way_is_named(cloud: Cloud) -> None:
    empty = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "")
    run = cloud.run(*SITE, AWS_SHARED_CREDENTIALS_FILE="/dev/null", **empty)
    assert run.status != 0
    words = " ".join(run.output.split())
    assert "There are no AWS credentials on this computer." in words
    assert "EC2_IP=203.0.113.7 ./lab run ansible-playbook site.yml" in words


def test_without_an_instance(cloud: Cloud) -> None:
    run = cloud.run("./lab", "ec2", "status")
    assert run.status == 1
    assert "./lab ec2 up" in run.output
    run = cloud.run(*SITE)
    assert run.status != 0
    assert "No instance in us-east-1 carries the tag" in " ".join(run.output.split())


def test_down_asks_and_stops(student: Cloud) -> None:
    told = student.run("./lab", "ec2", "up", "--check", *upstreams(student))
    assert told.status == 0, told.output
    assert student.instances() == []
    assert student.play("playbooks/provision.yml").status == 0
    refused = student.run("./lab", "ec2", "down")
    assert refused.status != 0
    assert student.instance()["State"]["Name"] == "running"

    stopped = student.run("./lab", "ec2", "down", "--yes")
    assert stopped.status == 0, stopped.output
    assert student.instance()["State"]["Name"] == "stopped"
    assert "stopped" in student.run("./lab", "ec2", "status").output

    gone = student.run("./lab", "ec2", "down", "--terminate", "--yes")
    assert gone.status == 0, gone.output
    assert student.instances() == []
