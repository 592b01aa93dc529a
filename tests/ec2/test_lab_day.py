"""A lab day, as the README tells it: every line that it tells a student to type is typed here.

AWS is a stand-in, and a stand-in host plays the instance's machine: what happens to the instance in
AWS, the tests do to the host. The tests of the day are one story, in the order of the file.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
import requests

from cli.running import KEPT_CREDENTIALS as KEPT
from tests.ask import ask, wait_until
from tests.ec2 import readme
from tests.ec2.cloud import NEWEST, give_addresses, give_vockey
from tests.ec2.conftest import KNOWN_HOSTS, account
from tests.lab import ROOT, Lab, Run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.ec2.cloud import Cloud

# As the Learner Lab shows it under AWS Details > AWS CLI.
BLOCK = """\
[default]
aws_access_key_id=ASIAIOSFODNN7EXAMPLE
aws_secret_access_key=wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY
aws_session_token=IQoJb3JpZ2luX2VjEJr//////////wEaCXVzLXdlc3QtMiJHMEUCIQDexample==
"""
SITE = "./lab run ansible-playbook -i inventory/aws_ec2.yml site.yml"
SECRET = "cat /etc/labstack/secrets/grafana_admin_password"


def upstreams(cloud: Cloud) -> list[str]:
    """The arguments that make stand-ins of what is out of reach."""
    arguments = ["-e", f"stack_checkip_url={cloud.own_address_url}"]
    if (ROOT / "inventory/lab/group_vars/lab/upstreams.yml").exists():
        arguments += ["-e", "@inventory/lab/group_vars/lab/upstreams.yml"]
    arguments += ["-e", "ec2_instance_stop_after=4"]
    # The machine behind the instance is a container.
    arguments += ["-e", "@inventory/lab/group_vars/lab/host.yml"]
    return arguments


@dataclass
class Day:
    """A student at the README.

    Attributes:
        cloud: AWS, as the student's computer sees it.
        typed: the README's lines so far.
    """

    cloud: Cloud
    typed: set[str] = field(default_factory=set)

    def type(self, line: str, *more: str, answer: str | None = None) -> Run:
        """Types a line of the README into a shell.

        Args:
            line: as it stands there.
            more: what is added, because the test machine lacks it or so that less happens.
            answer: what is typed when the command asks; it has a terminal then.
        """
        assert line in readme.commands(), f"the README does not say: {line}"
        self.typed.add(line)
        if re.search(r"lab ec2 (up|restore)", line) or line == SITE:
            more = (*upstreams(self.cloud), *more)
        whole = f"{line} {shlex.join(more)}"
        if answer is not None:
            return self.cloud.answer(answer, "sh", "-c", whole)
        return self.cloud.run("sh", "-c", whole)


@pytest.fixture(scope="module")
def day(aws: str, checkip: str, machine: Lab, blank: dict[str, set[str]]) -> Iterator[Day]:
    """A Learner Lab that has just been started, the key downloaded as a browser does it."""
    assert blank
    with account(aws, checkip, machine) as cloud:
        give_vockey(cloud)
        downloads = cloud.home / "Downloads"
        downloads.mkdir()
        shutil.copy(ROOT / ".lab" / "id_ed25519", downloads / "labsuser.pem")
        (downloads / "labsuser.pem").chmod(0o644)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
            del cloud.environment[name]
        yield Day(cloud)


@pytest.fixture(scope="module")
def other() -> Iterator[Lab]:
    """Another machine."""
    lab = Lab("ec2other")
    lab.down()
    lab.up()
    yield lab
    lab.down()


def changed_tasks(run: Run) -> set[str]:
    """The names of the tasks that changed something, without the collection's."""
    found, task = set(), ""
    for line in run.output.splitlines():
        headline = re.match(r"TASK \[(?:labstack\.stack\.)?(.*)\] \*+", line)
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


def read_secrets(lab: Lab) -> tuple[str, str]:
    """The administrator's password and the key of the backups."""
    names = ("webapp_admin_password", "backup_key")
    found = [lab.ssh(f"sudo cat /etc/labstack/secrets/{name}").stdout.strip() for name in names]
    return found[0], found[1]


def test_the_first_day(day: Day, machine: Lab) -> None:
    cloud = day.cloud
    assert day.type("chmod 600 ~/Downloads/labsuser.pem").status == 0
    pasted = day.type("./lab ec2 credentials", answer=BLOCK)
    assert pasted.status == 0, pasted.output
    assert "AWS takes them: account 123456789012" in pasted.output
    assert KEPT.stat().st_mode & 0o777 == 0o600
    assert "region = us-east-1" in KEPT.read_text()

    told = day.type("./lab ec2 up --check")
    assert told.status == 0, told.output
    plan = " ".join(told.output.split())
    assert "A run would launch a t2.micro in us-east-1 with 16 GB of disk" in plan
    assert f"from {NEWEST['22.04']} (ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64" in plan
    assert "about 0.0166 USD an hour while it runs" in plan
    assert cloud.instances() == []

    run = day.type("./lab ec2 up")
    assert run.status == 0, run.output[-6000:]
    assert f"http://{machine.address}:9090/" in run.output.rpartition("PLAY RECAP")[2]
    # The stack follows at once.
    assert "Next:" not in run.output
    page = requests.get(f"http://{machine.address}/", timeout=10)
    assert "<html" in page.text.lower()

    status = day.type("./lab ec2 status")
    assert status.status == 0, status.output
    assert "running, for" in status.output
    assert re.search(r"cost +about 0\.0\d USD since then \(0\.0166 an hour", status.output)
    assert re.search(r"stops itself +in [23] h \d+ min", status.output), status.output
    assert "pasted" in status.output
    assert f"http://{machine.address}:3000/" in status.output
    assert re.search(r": [1-9]\d* checks passed", status.output), status.output
    assert max(len(line) for line in status.output.splitlines()) <= 80

    shell = day.type("./lab ec2 ssh", answer="echo host=$(hostname); exit")
    assert "host=ec2" in shell.output
    # What this test reads goes nowhere else.
    signs = day.type("./lab ec2 passwords", "--show")
    assert re.search(r"Grafana +admin +[A-Za-z0-9]{32}", signs.output), signs.output
    logs = cloud.run("./lab", "ec2", "logs", "flask", "prometheus", "-n", "0", **kept())
    assert logs.status == 0, logs.output
    for line in (r"Z? +flask-app +\S", r"Z? +prometheus +.*Server is ready to receive"):
        assert re.search(line, logs.output), logs.output[-3000:]
    opened = cloud.run("./lab", "ec2", "open", "--print", **kept())
    assert f"http://{machine.address}:3000/" in opened.output
    listed = day.type("./lab ec2 ssh sudo grep -r . /etc/labstack/secrets")
    assert re.search(r"grafana_admin_password:[A-Za-z0-9]{32}$", listed.output, re.MULTILINE)

    listed = cloud.run("ansible-inventory", "-i", "inventory/aws_ec2.yml", "--list", **kept())
    hosts = json.loads(listed.output)["_meta"]["hostvars"]
    assert list(hosts) == ["ec2"]
    # Ansible marks what comes from outside as not to be templated.
    assert hosts["ec2"]["ansible_host"] == {"__ansible_unsafe": machine.address}

    again = day.type(SITE)
    assert again.status == 0, again.output[-4000:]
    assert changed_tasks(again) == set()


def test_the_status_is_what_a_user_would_see(day: Day, machine: Lab) -> None:
    """A page that serves errors does not pass for one that answers; by tag and by address."""
    by_tag = ("./lab", "ec2", "status")
    by_address = ("./lab", "--host", machine.address, "status")
    # ssh looks for known hosts in the account's home, whatever HOME says: there the address may
    # be another machine's.
    known = f"-o UserKnownHostsFile={ROOT / '.lab' / 'known_hosts'}"
    key = {"EC2_KEY": str(ROOT / ".lab" / "id_ed25519"), "ANSIBLE_SSH_COMMON_ARGS": known}
    well = day.cloud.run(*by_address, **key)
    assert well.status == 0, well.output
    machine.ssh("sudo docker stop webapp-flask-app-1")
    try:
        for command in (by_tag, by_address):
            told = day.cloud.run(*command, **key)
            assert told.status == 1, told.output
            assert "503" in told.output, told.output
    finally:
        machine.ssh("sudo docker start webapp-flask-app-1")
        page = f"http://{machine.address}/api/products"
        wait_until(lambda: ask(page).status == 200, 120)


def kept() -> dict[str, str]:
    """What ./lab gives the commands that it runs."""
    return {"AWS_SHARED_CREDENTIALS_FILE": str(KEPT)}


def test_the_next_day_the_address_is_another(day: Day, machine: Lab) -> None:
    secret = machine.ssh("sudo cat /etc/labstack/secrets/webapp_admin_password").stdout.strip()
    product = {"name": "lab day", "description": "x", "price": "1.00", "stock": 1}
    site = f"http://{machine.address}/api/products"
    requests.post(site, json=product, auth=("admin", secret), timeout=10).raise_for_status()
    before, old = state(machine), machine.address

    identity = day.cloud.instance()["InstanceId"]
    down = day.type("./lab ec2 down", answer="y")
    assert down.status == 0, down.output
    assert "fatal" not in down.output
    assert day.cloud.instance()["State"]["Name"] == "stopped"
    stopped = day.type(SITE)
    assert stopped.status != 0
    assert f"The instance {identity} is stopped" in stopped.output

    new = machine.move()
    assert new != old
    give_addresses(new)
    run = day.type("./lab ec2 up")
    assert run.status == 0, run.output[-6000:]
    followed = changed_tasks(run)
    print(f"a new address took {run.seconds:.1f} s and changed: {sorted(followed)}")
    assert state(machine) == before
    assert f"http://{new}:3000/" in machine.ssh("sudo cat /etc/grafana/grafana.ini").stdout
    assert f"http://{new}:9090/" in machine.ssh("systemctl cat prometheus").stdout
    assert old not in machine.ssh("sudo cat /etc/grafana/grafana.ini").stdout
    assert "ec2_instance : start | Start it" in followed
    roles = {task.split(" : ")[0] for task in followed}
    assert roles <= {"ec2_instance", "webapp", "prometheus", "grafana", "backup"}

    copied = day.type("./lab ec2 backup")
    assert copied.status == 0, copied.output[-6000:]
    # Shown the first time, for whoever restores on another machine.
    assert read_secrets(machine)[1] in copied.output


def test_another_machine_behind_the_address(day: Day, machine: Lab, other: Lab) -> None:
    identity = day.cloud.instance()["InstanceId"]
    client = day.cloud.client()
    client.stop_instances(InstanceIds=[identity])
    give_addresses(other.address)
    client.start_instances(InstanceIds=[identity])
    run = day.type(SITE)
    assert run.status != 0
    assert f"{other.address} is another machine than {identity}" in run.output
    assert run.recap["changed"] == 0
    assert "No such file" in other.ssh("ls /etc/labstack").stderr
    assert machine.address != other.address


def test_after_terminate_another_machine_gets_everything(
    day: Day, machine: Lab, other: Lab
) -> None:
    secret, key = read_secrets(machine)
    before = day.cloud.instance()["InstanceId"]
    gone = day.type("./lab ec2 down --terminate", answer="yes")
    assert gone.status == 0, gone.output
    assert day.cloud.instances() == []

    give_addresses(other.address)
    run = day.type("./lab ec2 up -e ec2_instance_ubuntu=24.04")
    assert run.status == 0, run.output[-6000:]
    one = day.cloud.instance()
    assert one["InstanceId"] != before
    assert one["ImageId"] == NEWEST["24.04"]
    # ssh may keep names as hashes.
    known = ["ssh-keygen", "-F", one["InstanceId"], "-f", str(KNOWN_HOSTS)]
    assert subprocess.run(known, check=False, capture_output=True).returncode == 0
    products = requests.get(f"http://{other.address}/api/products", timeout=10).json()
    assert products["items"] == []
    password = other.ssh(f"sudo {SECRET}").stdout
    assert password
    assert password != machine.ssh(f"sudo {SECRET}").stdout
    assert f"http://{other.address}:3000/" in run.output.rpartition("PLAY RECAP")[2]

    day.cloud.environment["LAB_BACKUP_KEY"] = key
    back = day.type("./lab ec2 restore", "--yes")
    del day.cloud.environment["LAB_BACKUP_KEY"]
    assert back.status == 0, back.output[-6000:]
    products = requests.get(f"http://{other.address}/api/products", timeout=10)
    assert "lab day" in products.text
    assert read_secrets(other) == (secret, key)
    assert ask(f"http://{other.address}/api/users", "admin", secret).status == 200
    assert key not in back.output


def test_an_account_of_ones_own(day: Day, other: Lab) -> None:
    """With a profile of AWS's own file, and no pasted block."""
    KEPT.unlink()
    folder = day.cloud.home / ".aws"
    folder.mkdir()
    (folder / "credentials").write_text(
        "[default]\naws_access_key_id = AKIATESTING\naws_secret_access_key = testing\n"
    )
    refused = day.cloud.run("./lab", "ec2", "status", AWS_PROFILE="missing")
    assert refused.status != 0
    (line,) = (line for line in readme.commands() if line.startswith("AWS_PROFILE="))
    told = day.type(line, "--check")
    assert told.status == 0, told.output
    assert day.cloud.instance()["PublicIpAddress"] == other.address


def test_every_line_of_the_readme_was_typed(day: Day) -> None:
    assert day.typed == set(readme.commands())


def test_both_readmes_have_the_same_lines() -> None:
    assert readme.commands("README.es.md") == readme.commands("README.md")


def test_without_credentials_the_other_way_is_named(cloud: Cloud) -> None:
    empty = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "")
    run = cloud.run(*SITE.split(), AWS_SHARED_CREDENTIALS_FILE="/dev/null", **empty)
    assert run.status != 0
    words = " ".join(run.output.split())
    assert "There are no AWS credentials on this computer." in words
    assert "EC2_IP=203.0.113.7 ./lab run ansible-playbook site.yml" in words


def test_without_an_instance(cloud: Cloud) -> None:
    run = cloud.run("./lab", "ec2", "status")
    assert run.status == 1
    assert "./lab ec2 up" in run.output
    run = cloud.run(*SITE.split())
    assert run.status != 0
    assert "No instance in us-east-1 carries the tag" in " ".join(run.output.split())


@pytest.mark.usefixtures("learner_lab")
def test_down_asks_and_stops(cloud: Cloud) -> None:
    assert cloud.play("playbooks/provision.yml").status == 0
    refused = cloud.run("./lab", "ec2", "down")
    assert refused.status != 0
    assert cloud.instance()["State"]["Name"] == "running"

    stopped = cloud.run("./lab", "ec2", "down", "--yes")
    assert stopped.status == 0, stopped.output
    assert cloud.instance()["State"]["Name"] == "stopped"
    assert "stopped" in cloud.run("./lab", "ec2", "status").output

    gone = cloud.run("./lab", "ec2", "down", "--terminate", "--yes")
    assert gone.status == 0, gone.output
    assert cloud.instances() == []
