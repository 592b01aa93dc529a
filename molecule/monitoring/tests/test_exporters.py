"""The exporters where nothing is there to measure: they run, say so, and are sealed off."""

from __future__ import annotations

import re

import pytest
from testinfra.host import Host

from tests.ask import wait_until

EXPOSURE_LIMIT = 2.0  # systemd-analyze's points: 0 is sealed off, 10 is unprotected
RESTART_LIMIT = 60.0  # seconds; another lane keeps the machine busy
PORTS = {"mysqld_exporter": 9104, "apache_exporter": 9117, "blackbox_exporter": 9115}
MEMORY_MAX = {"mysqld_exporter": 32, "apache_exporter": 32, "blackbox_exporter": 64}  # MiB
each_exporter = pytest.mark.parametrize("name", PORTS)
# A stand-in host has no curl.
GET = (
    "python3 -c 'import sys, urllib.request as r; "
    "sys.stdout.write(r.urlopen(sys.argv[1], timeout=9).read().decode())'"
)


def metrics(host: Host, port: int, path: str = "/metrics") -> str:
    return str(host.check_output(f"{GET} 'http://127.0.0.1:{port}{path}'"))


@each_exporter
def test_starts_at_boot_and_runs(host: Host, name: str) -> None:
    assert host.service(name).is_enabled
    assert host.service(name).is_running


@each_exporter
def test_listens_for_the_host_alone(host: Host, name: str) -> None:
    # ss shows 15 characters of a name.
    lines = host.check_output(f"ss -Hltnp | grep {name[:15]}").splitlines()
    assert [line.split()[3] for line in lines] == [f"127.0.0.1:{PORTS[name]}"]


@each_exporter
def test_is_sealed_off(host: Host, name: str) -> None:
    report = host.check_output(f"systemd-analyze security --no-pager {name}.service")
    exposure = re.search(rf"exposure level for {name}\.service: ([\d.]+)", report)
    assert exposure
    assert float(exposure[1]) <= EXPOSURE_LIMIT


@each_exporter
def test_its_memory_is_limited(host: Host, name: str) -> None:
    limit = host.check_output(f"systemctl show --property=MemoryMax --value {name}")
    assert int(limit) == MEMORY_MAX[name] * 1024 * 1024


@each_exporter
def test_comes_back_after_a_kill(host: Host, name: str) -> None:
    before = host.check_output(f"systemctl show --property=MainPID --value {name}")
    host.check_output("kill -9 %s", before)

    def back() -> bool:
        now = host.check_output(f"systemctl show --property=MainPID --value {name}")
        return (
            now not in ("0", before) and host.socket(f"tcp://127.0.0.1:{PORTS[name]}").is_listening
        )

    wait_until(back, RESTART_LIMIT)


def test_without_mysql_the_exporter_says_so_and_runs_on(host: Host) -> None:
    assert re.search(r"^mysql_up 0$", metrics(host, 9104), re.MULTILINE)
    assert "127.0.0.1:3306" in host.check_output("journalctl -u mysqld_exporter --no-pager")
    assert host.service("mysqld_exporter").is_running


def test_without_apache_the_exporter_says_so_and_runs_on(host: Host) -> None:
    assert re.search(r"^apache_up 0$", metrics(host, 9117), re.MULTILINE)
    assert host.service("apache_exporter").is_running


def test_a_page_that_is_away_fails_its_probe(host: Host) -> None:
    text = metrics(host, 9115, "/probe?module=http&target=http://localhost/")
    assert re.search(r"^probe_success 0$", text, re.MULTILINE)


def test_ssh_is_looked_at(host: Host) -> None:
    text = metrics(host, 9115, "/probe?module=ssh&target=localhost:22")
    assert re.search(r"^probe_success 1$", text, re.MULTILINE)


@each_exporter
def test_it_cannot_talk_to_the_world(host: Host, name: str) -> None:
    def networks(option: str) -> set[str]:
        return set(host.check_output(f"systemctl show --value -p {option} {name}").split())

    assert networks("IPAddressDeny") == {"0.0.0.0/0", "::/0"}
    own = {"127.0.0.0/8", "::1/128"}
    assert networks("IPAddressAllow") == own | {"172.16.0.0/12", "192.168.0.0/16"}


def test_only_root_reads_the_password(host: Host) -> None:
    file = host.file("/etc/mysqld_exporter/my.cnf")
    assert (file.user, file.group, file.mode) == ("root", "root", 0o600)
    password = host.check_output("cat /etc/labstack/secrets/webapp_db_exporter_password")
    assert password in file.content_string
    assert password not in host.check_output("ps -eo args")
    assert password not in host.check_output("systemctl show mysqld_exporter")
    assert password not in host.check_output("journalctl --no-pager")


def test_the_journal_is_limited(host: Host) -> None:
    shown = host.check_output("systemd-analyze cat-config systemd/journald.conf")
    assert re.search(r"^SystemMaxUse=200M$", shown, re.MULTILINE)
    assert host.service("systemd-journald").is_running
