"""Node Exporter on a converged host, as its reader and as its administrator see it."""

from __future__ import annotations

import re

import pytest
from testinfra.host import Host

from tests.ask import Answer, ask, wait_until

USER = "monitor"
EXPOSURE_LIMIT = 2.0  # systemd-analyze's points: 0 is sealed off, 10 is unprotected
RESTART_LIMIT = 60.0  # seconds; another lane keeps the machine busy


@pytest.fixture(scope="module")
def url(address: str) -> str:
    return f"http://{address}:9100/metrics"


@pytest.fixture(scope="module")
def password(host: Host) -> str:
    return str(host.check_output("cat /etc/labstack/secrets/monitoring_password"))


@pytest.fixture
def metrics(url: str, password: str) -> Answer:
    return ask(url, USER, password)


def test_starts_at_boot_and_runs(host: Host) -> None:
    service = host.service("node_exporter")
    assert service.is_enabled
    assert service.is_running


def test_says_nothing_without_the_password(url: str) -> None:
    assert ask(url).status == 401
    assert ask(url, USER, "wrong").status == 401
    assert "node_" not in ask(url).body


@pytest.mark.parametrize(
    "sample",
    [
        r'node_cpu_seconds_total\{cpu="0",mode="idle"\} ',
        r"node_memory_MemAvailable_bytes ",
        r'node_filesystem_avail_bytes\{.*mountpoint="/"\} ',
        r'node_network_receive_bytes_total\{device="eth0"\} ',
        r'node_uname_info\{.*nodename="ec2"',
        r'node_systemd_unit_state\{name="ssh.service",state="active".*\} 1',
        r"node_processes_threads ",
        r"node_timex_sync_status ",
    ],
)
def test_tells_about_the_host(sample: str, metrics: Answer) -> None:
    assert metrics.status == 200
    assert re.search("^" + sample, metrics.body, re.MULTILINE)


@pytest.mark.parametrize(
    "collector",
    [
        "cpu",
        "diskstats",
        "filesystem",
        "loadavg",
        "meminfo",
        "netdev",
        "processes",
        "systemd",
        "timex",
    ],
)
def test_its_protection_takes_no_collector_away(collector: str, metrics: Answer) -> None:
    assert f'node_scrape_collector_success{{collector="{collector}"}} 1' in metrics.body


def test_measures_storage_and_not_the_kernels_interfaces(metrics: Answer) -> None:
    points = re.findall(r'node_filesystem_size_bytes\{.*mountpoint="([^"]+)"', metrics.body)
    assert "/" in points
    noise = [p for p in points if re.match(r"/(proc|sys|dev|run|var/lib/docker/.+)($|/)", p)]
    assert noise == []


def test_runs_as_a_user_of_its_own(host: Host) -> None:
    process = host.process.get(comm="node_exporter")
    assert process.user == "node_exporter"
    assert host.user("node_exporter").shell == "/usr/sbin/nologin"


def test_is_sealed_off(host: Host) -> None:
    report = host.check_output("systemd-analyze security --no-pager node_exporter.service")
    exposure = re.search(r"exposure level for node_exporter\.service: ([\d.]+)", report)
    assert exposure
    assert float(exposure[1]) <= EXPOSURE_LIMIT


def test_its_memory_is_limited(host: Host) -> None:
    limit = host.check_output("systemctl show --property=MemoryMax --value node_exporter")
    assert int(limit) == 48 * 1024 * 1024


@pytest.mark.parametrize(
    ("path", "user", "group", "mode"),
    [
        ("/etc/node_exporter", "root", "node_exporter", 0o750),
        ("/etc/node_exporter/web.yml", "root", "node_exporter", 0o640),
        ("/etc/systemd/system/node_exporter.service", "root", "root", 0o644),
        ("/usr/local/bin/node_exporter", "root", "root", 0o755),
    ],
)
def test_files_belong_to_root(host: Host, path: str, user: str, group: str, mode: int) -> None:
    file = host.file(path)
    assert (file.user, file.group, file.mode) == (user, group, mode)


def test_the_password_is_in_no_file_and_no_command_line(host: Host, password: str) -> None:
    assert password not in host.file("/etc/node_exporter/web.yml").content_string
    assert password not in host.check_output("ps -eo args")


def test_comes_back_after_a_kill(host: Host, url: str, password: str) -> None:
    before = host.check_output("systemctl show --property=MainPID --value node_exporter")
    host.check_output("kill -9 %s", before)

    def back() -> bool:
        now = host.check_output("systemctl show --property=MainPID --value node_exporter")
        return now not in ("0", before) and ask(url, USER, password).status == 200

    wait_until(back, RESTART_LIMIT)
