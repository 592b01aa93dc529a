"""Prometheus on a converged host, as its reader and as its administrator see it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from testinfra.host import Host

from tests.ask import Answer, ask, wait_until
from tests.lab import converge

USER = "monitor"
EXPOSURE_LIMIT = 2.0  # systemd-analyze's points: 0 is sealed off, 10 is unprotected
RESTART_LIMIT = 60.0  # seconds; another lane keeps the machine busy
SCRAPE_LIMIT = 60.0  # seconds; a scrape comes every 5
# seconds: twice a minute somebody looks whether the disk is full; then a restart with a repair
NOTICE_LIMIT = 180.0
DISK = "/var/lib/prometheus"
RESERVE = f"{DISK}/reserve"

Get = Callable[[str], Answer]


@pytest.fixture(scope="module")
def url(address: str) -> str:
    return f"http://{address}:9090"


@pytest.fixture(scope="module")
def password(host: Host) -> str:
    return str(host.check_output("cat /etc/labstack/secrets/monitoring_password"))


@pytest.fixture
def get(url: str, password: str) -> Get:
    return lambda path: ask(url + path, USER, password)


@pytest.fixture(scope="module")
def small_reserve() -> Iterator[int]:
    """A reserve that fits on a disk of the test's own; its size in bytes."""
    run = converge("--tags", "prometheus", "-e", "prometheus_disk_reserve=8M")
    assert run.status == 0, run.output[-4000:]
    yield 8 * 1024 * 1024
    run = converge("--tags", "prometheus")
    assert run.status == 0, run.output[-4000:]


@pytest.fixture
def small_disk(host: Host, small_reserve: int) -> Iterator[None]:
    """Have Prometheus keep its samples on a disk of 48 MB for the time of a test."""
    options = f"size={6 * small_reserve},mode=750,uid=prometheus,gid=prometheus"
    host.check_output("systemctl stop prometheus")
    host.check_output(f"mount -t tmpfs -o {options} tmpfs {DISK}")
    host.check_output("systemctl start prometheus")
    yield
    host.check_output(f"systemctl stop prometheus; umount {DISK}; systemctl start prometheus")


@pytest.fixture
def query(get: Get) -> Callable[[str], list[dict[str, Any]]]:
    def run(expression: str) -> list[dict[str, Any]]:
        result: list[dict[str, Any]] = get(f"/api/v1/query?query={quote(expression)}").json()[
            "data"
        ]["result"]
        return result

    return run


def test_starts_at_boot_and_runs(host: Host) -> None:
    service = host.service("prometheus")
    assert service.is_enabled
    assert service.is_running


@pytest.mark.parametrize("path", ["/", "/metrics", "/api/v1/targets", "/-/ready"])
def test_says_nothing_without_the_password(url: str, path: str) -> None:
    assert ask(url + path).status == 401
    assert ask(url + path, USER, "wrong").status == 401


def test_is_ready(get: Get) -> None:
    assert get("/-/ready").status == 200


def test_its_page_opens_with_the_password(get: Get) -> None:
    if "debian" in get("/api/v1/status/buildinfo").json()["data"]["buildUser"]:
        pytest.skip("this is Debian's build of Prometheus, which comes without the web page")
    answer = get("/")
    assert answer.status == 200
    assert "<title>Prometheus" in answer.body


def test_both_targets_are_up(get: Get) -> None:
    def states() -> dict[str, tuple[str, str]]:
        targets = get("/api/v1/targets?state=active").json()["data"]["activeTargets"]
        return {t["labels"]["job"]: (t["labels"]["instance"], t["health"]) for t in targets}

    both = {"prometheus": ("localhost:9090", "up"), "node": ("localhost:9100", "up")}
    wait_until(lambda: states().items() >= both.items(), SCRAPE_LIMIT)


def test_scrapes_every_5_seconds(get: Get) -> None:
    pools = get("/api/v1/targets?state=active").json()["data"]["activeTargets"]
    assert {target["scrapeInterval"] for target in pools} == {"5s"}


def test_has_the_alert(get: Get) -> None:
    groups = get("/api/v1/rules").json()["data"]["groups"]
    (group,) = [g for g in groups if g["file"] == "/etc/prometheus/rules.yml"]
    (rule,) = group["rules"]
    assert (group["name"], rule["name"], rule["duration"]) == ("node-alerts", "HighCPUUsage", 120)
    assert rule["health"] in ("ok", "unknown"), rule
    assert rule["annotations"]["description"] == "CPU mayor al 80%"


def test_has_the_rules_by_concern_and_can_compute_them(get: Get) -> None:
    groups = get("/api/v1/rules").json()["data"]["groups"]
    files = {group["file"].removeprefix("/etc/prometheus/rules.d/") for group in groups}
    concerns = {"apache", "certificates", "host", "mysql", "prometheus", "targets"}
    assert files >= {f"{concern}.yml" for concern in concerns}
    rules = [rule for group in groups for rule in group["rules"]]
    assert [rule["name"] for rule in rules if rule["health"] not in ("ok", "unknown")] == []


def test_the_alerts_expression_finds_the_host(query: Callable[[str], list[dict[str, Any]]]) -> None:
    expression = 'avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[2m]))'
    wait_until(lambda: query(expression), SCRAPE_LIMIT)
    assert [r["metric"]["instance"] for r in query(expression)] == ["localhost:9100"]


def test_keeps_samples_for_a_limited_time_in_limited_space(get: Get) -> None:
    information = get("/api/v1/status/runtimeinfo").json()["data"]
    assert information["storageRetention"] == "15d or 2GiB"


def test_runs_the_written_configuration(get: Get) -> None:
    information = get("/api/v1/status/runtimeinfo").json()["data"]
    assert information["reloadConfigSuccess"] is True


@pytest.mark.parametrize(
    ("path", "user", "group", "mode"),
    [
        ("/etc/prometheus", "root", "prometheus", 0o750),
        ("/etc/prometheus/prometheus.yml", "root", "prometheus", 0o640),
        ("/etc/prometheus/rules.yml", "root", "prometheus", 0o640),
        ("/etc/prometheus/rules.d", "root", "prometheus", 0o750),
        ("/etc/prometheus/rules.d/host.yml", "root", "prometheus", 0o640),
        ("/etc/prometheus/web.yml", "root", "prometheus", 0o640),
        ("/etc/prometheus/scrape_password", "root", "prometheus", 0o640),
        ("/etc/systemd/system/prometheus.service", "root", "root", 0o644),
        ("/usr/local/bin/prometheus", "root", "root", 0o755),
        ("/usr/local/bin/promtool", "root", "root", 0o755),
        ("/var/lib/prometheus", "prometheus", "prometheus", 0o750),
    ],
)
def test_files_are_where_the_document_has_them(
    host: Host, path: str, user: str, group: str, mode: int
) -> None:
    file = host.file(path)
    assert (file.user, file.group, file.mode) == (user, group, mode)


def test_promtool_finds_no_fault(host: Host) -> None:
    host.run_expect([0], "/usr/local/bin/promtool check config /etc/prometheus/prometheus.yml")


def test_the_password_is_where_only_prometheus_reads_it(host: Host, password: str) -> None:
    assert host.file("/etc/prometheus/scrape_password").content_string == password
    for name in ("prometheus.yml", "web.yml", "rules.yml"):
        assert password not in host.file(f"/etc/prometheus/{name}").content_string
    assert password not in host.check_output("ps -eo args")
    assert password not in host.check_output("journalctl --unit prometheus --no-pager")


def test_runs_as_a_user_of_its_own(host: Host) -> None:
    assert host.process.get(comm="prometheus").user == "prometheus"
    assert host.user("prometheus").shell == "/usr/sbin/nologin"


def test_is_sealed_off(host: Host) -> None:
    report = host.check_output("systemd-analyze security --no-pager prometheus.service")
    exposure = re.search(r"exposure level for prometheus\.service: ([\d.]+)", report)
    assert exposure
    assert float(exposure[1]) <= EXPOSURE_LIMIT


def test_its_memory_is_limited(host: Host, get: Get) -> None:
    limit = 256 * 1024 * 1024
    shown = host.check_output("systemctl show --property=MemoryMax --value prometheus")
    assert int(shown) == limit
    # Go's collector works harder before the kernel has to kill.
    soft = get("/api/v1/status/runtimeinfo").json()["data"]["GOMEMLIMIT"]
    assert 0.8 * limit < soft < limit


def test_comes_back_after_a_kill_with_its_samples(
    host: Host, get: Get, query: Callable[[str], list[dict[str, Any]]]
) -> None:
    before = host.check_output("systemctl show --property=MainPID --value prometheus")
    count = float(query('count_over_time(up{job="node"}[1h])')[0]["value"][1])
    host.check_output("kill -9 %s", before)

    def back() -> bool:
        now = host.check_output("systemctl show --property=MainPID --value prometheus")
        return now not in ("0", before) and get("/-/ready").status == 200

    wait_until(back, RESTART_LIMIT)
    assert float(query('count_over_time(up{job="node"}[1h])')[0]["value"][1]) >= count


@pytest.mark.usefixtures("small_disk")
def test_outlives_a_full_disk(
    host: Host, get: Get, query: Callable[[str], list[dict[str, Any]]]
) -> None:
    """It starts on a full disk and stores what alerts need, or else nobody would hear of it."""

    def stores() -> bool:
        if get("/-/ready").status != 200:
            return False
        return bool(query('time() - timestamp(up{job="node"}) < 6'))

    def fill() -> None:
        host.run(f"dd if=/dev/zero of={DISK}/filler bs=64k oflag=append conv=notrunc")
        assert host.check_output(f"df --output=avail {DISK} | tail -1").strip() == "0"

    wait_until(stores, SCRAPE_LIMIT)
    assert host.file(RESERVE).size == 8 * 1024 * 1024
    fill()
    # What it writes now is cut short, and has to be mended at the next start.
    wait_until(lambda: not stores(), SCRAPE_LIMIT)
    host.check_output("systemctl kill --signal=KILL prometheus")
    wait_until(stores, RESTART_LIMIT + SCRAPE_LIMIT)
    assert not host.file(RESERVE).exists

    host.check_output(f"rm {DISK}/filler; systemctl restart prometheus")
    wait_until(stores, RESTART_LIMIT + SCRAPE_LIMIT)
    assert host.file(RESERVE).exists, "it is kept again as soon as there is room"
    assert host.file("/run/prometheus/reserve").exists, "who looks at the disk cannot see the other"
    fill()
    wait_until(lambda: not host.file(RESERVE).exists, NOTICE_LIMIT)
    wait_until(stores, RESTART_LIMIT + SCRAPE_LIMIT)
    assert host.file("/run/prometheus/retention").content_string != ""


@pytest.mark.usefixtures("small_disk")
def test_takes_no_more_than_half_of_a_small_disk(get: Get) -> None:
    wait_until(lambda: get("/-/ready").status == 200, RESTART_LIMIT)
    retention = get("/api/v1/status/runtimeinfo").json()["data"]["storageRetention"]
    assert retention.startswith("15d or ")
    size = float(retention.split()[2].removesuffix("MiB"))
    assert 8 <= size <= 24
