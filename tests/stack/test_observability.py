"""Monitoring on the whole stack: what is measured, whether panels have data, what it takes."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from testbed.mirror import DASHBOARD_STAND_IN
from tests.ask import ask, wait_until
from tests.stack.exceptions import WITHOUT_DATA
from tests.stack.panels import Query, marks, queries

if TYPE_CHECKING:
    from testinfra.host import Host

DASHBOARDS = "/etc/grafana/dashboards"
NODE_EXPORTER_FULL = "Node Exporter Full"
EXPOSURE_LIMIT = 2.0  # systemd-analyze's points: 0 is sealed off, 10 is unprotected
OUR_UNITS = [
    "alertmanager",
    "apache_exporter",
    "blackbox_exporter",
    "mysqld_exporter",
    "node_exporter",
    "prometheus",
]
# Not always running: a timer starts it.
SEALED_UNITS = [*OUR_UNITS, "container_metrics", "grafana-server"]
CONTAINERS = ["webapp-apache-1", "webapp-flask-app-1", "webapp-mysql-1"]
ROOM = 0.9  # of a unit's memory limit, at most in use
FULL_DISK = Path(__file__).with_name("full_disk.py")
MEMORY = 1024 * 1024 * 1024  # bytes; a t2.micro
DATA_LIMIT = 180.0  # seconds: the longest range of a panel that a fresh Prometheus can fill
ALERT_LIMIT = 120.0  # seconds
PROMETHEUS_JOBS = {"prometheus", "node", "alertmanager", "webapp", "mysql", "apache", "web", "ssh"}


def address_of(host: Host) -> str:
    """Return the address by which others reach the host: not that of one of Docker's bridges."""
    return str(re.findall(r"src (\S+)", host.check_output("ip route get 192.0.2.1"))[0])


Ask = Callable[[str], list[dict[str, Any]]]
Dashboards = dict[str, dict[str, Any]]  # by title
Queries = Callable[[Dashboards], list[Query]]


@pytest.fixture(scope="module")
def query(host: Host) -> Ask:
    """Return a function that asks Prometheus for the value of an expression now."""
    address = address_of(host)
    password = host.check_output("cat /etc/labstack/secrets/monitoring_password")

    def run(expression: str) -> list[dict[str, Any]]:
        url = f"http://{address}:9090/api/v1/query?query={quote(expression)}"
        answer = ask(url, "monitor", password).json()
        assert answer["status"] == "success", f"{expression}: {answer}"
        result = answer["data"]["result"]
        return list(result) if isinstance(result, list) else [result]

    return run


@pytest.fixture(scope="module")
def dashboards(host: Host) -> Dashboards:
    """Return Grafana's dashboards by title."""
    paths = host.check_output(f"ls {DASHBOARDS}/*.json").split()
    found = [json.loads(host.file(path).content_string) for path in paths]
    return {dashboard["title"]: dashboard for dashboard in found}


@pytest.fixture(scope="module")
def stand_in() -> dict[str, Any]:
    """Return what the testbed serves as dashboard 1860 where it has no copy of it."""
    return dict(json.loads(DASHBOARD_STAND_IN.read_text()))


@pytest.fixture(scope="module")
def queries_of(query: Ask) -> Queries:
    """Return a function that lists every query of dashboards."""
    (node,) = query('node_uname_info{job="node"}')
    variables = {
        "job": "node",
        "node": node["metric"]["instance"],
        "nodename": node["metric"]["nodename"],
        "ds_prometheus": "prometheus",
    }
    return lambda dashboards: [q for d in dashboards.values() for q in queries(d, variables)]


@pytest.fixture(scope="module")
def grafana_com(dashboards: Dashboards, stand_in: dict[str, Any]) -> Dashboards:
    """Return the dashboards where grafana.com's own 1860 is among them."""
    if dashboards[NODE_EXPORTER_FULL].get("description") == stand_in["description"]:
        pytest.skip(
            "needs grafana.com's dashboard 1860, and the testbed serves its small stand-in here:"
            " let TESTBED_DASHBOARD_1860 name the JSON, or TESTBED_UPSTREAM=internet fetch it"
        )
    return dashboards


def test_every_job_is_scraped(query: Ask) -> None:
    wait_until(lambda: {s["metric"]["job"] for s in query("up == 1")} == PROMETHEUS_JOBS, 60)
    assert query("up == 0") == []


def test_the_page_answers_over_http_and_https_and_ssh_greets(query: Ask) -> None:
    good = {sample["metric"]["instance"] for sample in query("probe_success == 1")}
    assert good == {"http://localhost/", "https://localhost/", "localhost:22"}


def test_the_certificate_is_good_for_weeks(query: Ask) -> None:
    (sample,) = query("instance:certificate_expires:days")
    assert float(sample["value"][1]) > 14


def test_the_exporters_user_may_read_counters_and_nothing_else(host: Host) -> None:
    def mysql(statement: str) -> tuple[int, str]:
        # The host's shell puts the password in: sudo logs the command as it is written here.
        done = host.run(
            'MYSQL_PWD="$(cat /etc/labstack/secrets/webapp_db_exporter_password)" '
            "docker exec -e MYSQL_PWD webapp-mysql-1 mysql -h 127.0.0.1 -u exporter -Nse %s",
            statement,
        )
        return done.rc, done.stdout + done.stderr

    assert mysql("SHOW GRANTS")[1].strip() == "GRANT USAGE ON *.* TO `exporter`@`%`"
    assert mysql("SHOW GLOBAL STATUS LIKE 'Uptime'")[0] == 0
    for statement in ("SELECT * FROM webapp.users", "SHOW TABLES FROM webapp"):
        rc, words = mysql(statement)
        assert rc != 0
        assert "denied" in words


@pytest.mark.parametrize("port", [3306, 8082, 9093, 9104, 9115, 9117])
def test_what_is_for_the_host_is_reachable_from_nowhere_else(host: Host, port: int) -> None:
    address = address_of(host)
    assert host.socket(f"tcp://127.0.0.1:{port}").is_listening
    assert ask(f"http://{address}:{port}/").status == 0


def test_containers_are_measured_without_the_engines_socket(host: Host, query: Ask) -> None:
    wait_until(lambda: query("container_last_seen"), 30)
    for metric in ("container_memory_working_set_bytes", "container_spec_memory_limit_bytes"):
        found = {s["metric"]["name"]: float(s["value"][1]) for s in query(metric)}
        assert sorted(found) == CONTAINERS
        assert all(value > 0 for value in found.values()), metric
    (age,) = query("max(time() - container_last_seen)")
    assert float(age["value"][1]) < 60
    assert host.run("journalctl -u container_metrics --no-pager -q").stdout == ""


def test_a_full_disk_spoils_no_samples(host: Host) -> None:
    """A Prometheus of its own on a small disk; docs/runbooks.md, PrometheusStorageFailing."""
    code = base64.b64encode(FULL_DISK.read_bytes()).decode()
    seen = json.loads(host.check_output(f"echo {code} | base64 -d | python3 -"))
    assert seen["answers while full"]
    assert seen["failed writes"] > 0
    assert seen["before, kept"] == seen["before"] > 20
    assert seen["after, kept"] == seen["after"] > 10


def check_panels(checked: Dashboards, queries_of: Queries, query: Ask) -> None:
    """A panel without data is a fault, or stands in exceptions.py with its reason."""
    found = [q for q in queries_of(checked) if not any(re.search(e, str(q)) for e in WITHOUT_DATA)]
    assert {q.dashboard for q in found} == set(checked)

    def empty() -> list[str]:
        return [str(q) for q in found if not query(q.expression)]

    try:
        wait_until(lambda: not empty(), DATA_LIMIT)
    except TimeoutError:
        pytest.fail("without data:\n" + "\n".join(empty()))


def test_every_panel_has_data(dashboards: Dashboards, queries_of: Queries, query: Ask) -> None:
    check_panels(dashboards, queries_of, query)


def test_every_annotation_marks_something(dashboards: Dashboards, query: Ask) -> None:
    found = [mark for dashboard in dashboards.values() for mark in marks(dashboard)]
    assert {mark.panel for mark in found} >= {"Despliegues", "Arranques del servidor", "Alertas"}
    # An alert need not have fired: what marks it is the same metric as the Watchdog's.
    for mark in found:
        expression = mark.expression.replace('severity=~"critical|warning"', 'severity="none"')
        wait_until(partial(query, expression), DATA_LIMIT)


def test_the_stand_in_for_dashboard_1860_passes_too(
    dashboards: Dashboards,
    stand_in: dict[str, Any],
    queries_of: Queries,
    query: Ask,
) -> None:
    """A checkout without the JSON passes: looked at where the JSON is, too."""
    assert stand_in["title"] in dashboards
    check_panels({stand_in["title"]: stand_in}, queries_of, query)


def test_no_exception_has_become_needless(
    grafana_com: Dashboards, queries_of: Queries, query: Ask
) -> None:
    """What has data here on every panel that it covers must be checked."""
    every = queries_of(grafana_com)
    needless = []
    for pattern, reason in WITHOUT_DATA.items():
        covered = [q for q in every if re.search(pattern, str(q))]
        assert reason
        if not covered or all(query(q.expression) for q in covered):
            needless.append(pattern)
    assert needless == []


@pytest.mark.parametrize("unit", OUR_UNITS)
def test_every_unit_of_ours_runs(host: Host, unit: str) -> None:
    assert host.service(unit).is_running


# Prometheus may fill the rest with its files, and gives them back.
@pytest.mark.parametrize("unit", [unit for unit in OUR_UNITS if unit != "prometheus"])
def test_a_units_limit_leaves_room_for_the_program_itself(host: Host, unit: str) -> None:
    """At the limit the pages of the program go and come: it works all the time, answers nothing."""
    group = f"/sys/fs/cgroup/system.slice/{unit}.service"
    used, limit = f"{group}/memory.current", f"{group}/memory.max"
    if host.file("/sys/fs/cgroup/memory").is_directory:
        group = f"/sys/fs/cgroup/memory/system.slice/{unit}.service"
        used, limit = f"{group}/memory.usage_in_bytes", f"{group}/memory.limit_in_bytes"
    now, most = map(int, host.check_output(f"cat {used} {limit}").split())
    assert now < ROOM * most


@pytest.mark.parametrize("unit", SEALED_UNITS)
def test_every_unit_of_ours_is_sealed_off(host: Host, unit: str) -> None:
    report = host.check_output(f"systemd-analyze security --no-pager {unit}.service")
    exposure = re.search(rf"exposure level for {unit}\.service: ([\d.]+)", report)
    assert exposure
    assert float(exposure[1]) <= EXPOSURE_LIMIT


def test_the_working_set_fits_a_small_host(host: Host) -> None:
    """What the kernel could not take back without swapping: everything but unused file cache."""
    group = "/sys/fs/cgroup"
    used, cache = f"{group}/memory.current", f"{group}/memory.stat"
    if host.file(f"{group}/memory").is_directory:
        used, cache = f"{group}/memory/memory.usage_in_bytes", f"{group}/memory/memory.stat"
    unused = re.search(r"^(?:total_)?inactive_file (\d+)$", host.check_output(f"tac {cache}"), re.M)
    assert unused
    assert int(host.check_output(f"cat {used}")) - int(unused[1]) < MEMORY


def test_a_wrong_password_of_the_exporter_is_told_and_harms_nothing(host: Host, query: Ask) -> None:
    credentials = "/etc/mysqld_exporter/my.cnf"
    address = address_of(host)
    host.check_output(f"cp -p {credentials} /root/my.cnf")
    try:
        host.check_output(f"sed -i 's/^password = .*/password = `wrong`/' {credentials}")
        host.check_output("systemctl restart mysqld_exporter")
        alert = 'ALERTS{alertname="MySQLDown", alertstate="firing"}'
        wait_until(lambda: query(alert), ALERT_LIMIT)
        said = host.check_output("journalctl -u mysqld_exporter -n 20 --no-pager")
        assert "Access denied" in said
        assert ask(f"http://{address}/").status == 200
    finally:
        host.check_output(f"mv /root/my.cnf {credentials} && systemctl restart mysqld_exporter")
    wait_until(lambda: query("mysql_up == 1"), 30)
