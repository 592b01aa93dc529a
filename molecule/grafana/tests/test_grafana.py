"""Grafana on a converged host, as its reader and as its administrator see it.

On a machine that cannot reach Grafana's repository, a fake stands in for it, which says so in its
version. It answers what is asked here as the real one does; what only the real one can show is
skipped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import quote

import pytest
from testinfra.host import Host

from tests.ask import Answer, ask, wait_until
from tests.lab import converge

EXPOSURE_LIMIT = 2.0  # systemd-analyze's points: 0 is sealed off, 10 is unprotected
RESTART_LIMIT = 60.0  # seconds; the real one needs some on one CPU
SCRAPE_LIMIT = 30.0  # seconds: a rate needs two samples
RESCAN_LIMIT = 30.0  # seconds: Grafana looks at its dashboards' files every ten

OWN = {
    "uso-cpu-memoria": "Uso de CPU y memoria",
    "espacio-disco": "Espacio en disco",
}

Get = Callable[[str], Answer]


@pytest.fixture(scope="module")
def url(address: str) -> str:
    return f"http://{address}:3000"


@pytest.fixture(scope="module")
def password(host: Host) -> str:
    return str(host.check_output("cat /etc/labstack/secrets/grafana_admin_password"))


@pytest.fixture(scope="module")
def get(url: str, password: str) -> Get:
    return lambda path: ask(url + path, "admin", password)


@pytest.fixture(scope="module")
def fake(url: str) -> bool:
    return "fake" in str(ask(url + "/api/health").json()["version"])


@pytest.fixture
def query(get: Get) -> Callable[[str], list[dict[str, Any]]]:
    """Return a function that asks Prometheus through Grafana, as a panel does."""

    def run(expression: str) -> list[dict[str, Any]]:
        path = "/api/datasources/proxy/uid/prometheus/api/v1/query?query="
        result: list[dict[str, Any]] = get(path + quote(expression)).json()["data"]["result"]
        return result

    return run


def test_starts_at_boot_and_runs(host: Host) -> None:
    service = host.service("grafana-server")
    assert service.is_enabled
    assert service.is_running


def test_is_the_pinned_version_and_stays_it(host: Host, url: str) -> None:
    state, version = host.check_output(
        "dpkg-query --show --showformat '${db:Status-Abbrev} ${Version}' grafana"
    ).split()
    assert state == "hi", "an upgrade of the whole host would take Grafana with it"
    assert ask(url + "/api/health").json()["version"].split("+")[0] == version.split("+")[0]


# --- Who comes in -----------------------------------------------------------------------------


def test_the_login_page_opens(url: str) -> None:
    assert ask(url + "/login").status == 200


@pytest.mark.parametrize("path", ["/api/org", "/api/search", "/api/datasources", "/api/users"])
def test_says_nothing_without_a_login(url: str, path: str) -> None:
    assert ask(url + path).status == 401


@pytest.mark.parametrize("guess", ["admin", "", "grafana"])
def test_there_is_no_default_password(url: str, guess: str) -> None:
    # Three tries: after five, Grafana would lock the administrator out.
    assert ask(url + "/api/user", "admin", guess).status == 401


def test_the_administrator_comes_in(get: Get) -> None:
    answer = get("/api/user").json()
    assert (answer["login"], answer["isGrafanaAdmin"]) == ("admin", True)


def test_metrics_are_not_for_everybody(url: str) -> None:
    assert ask(url + "/metrics").status != 200


# --- What it shows ----------------------------------------------------------------------------


def test_prometheus_answers_as_the_default_data_source(get: Get) -> None:
    source = get("/api/datasources/uid/prometheus").json()
    assert (source["name"], source["type"]) == ("Prometheus", "prometheus")
    assert (source["isDefault"], source["readOnly"]) == (True, True)
    assert source["jsonData"]["timeInterval"] == "5s"
    health = get("/api/datasources/uid/prometheus/health").json()
    assert health["status"] == "OK", health


@pytest.mark.parametrize(("uid", "title"), OWN.items())
def test_our_dashboards_are_there(get: Get, uid: str, title: str) -> None:
    answer = get(f"/api/dashboards/uid/{uid}").json()
    assert answer["dashboard"]["title"] == title
    assert answer["meta"]["provisioned"] is True


def test_node_exporter_full_is_there_and_uses_our_data_source(get: Get) -> None:
    found = get("/api/search?type=dash-db&query=Node%20Exporter%20Full").json()
    assert [entry["title"] for entry in found] == ["Node Exporter Full"]
    dashboard = get(f"/api/dashboards/uid/{found[0]['uid']}").json()["dashboard"]
    sources = [v for v in dashboard["templating"]["list"] if v["type"] == "datasource"]
    assert [source["current"]["value"] for source in sources] == ["prometheus"]


@pytest.mark.parametrize("uid", OWN)
def test_every_panel_shows_something(
    get: Get, query: Callable[[str], list[dict[str, Any]]], uid: str
) -> None:
    for panel in get(f"/api/dashboards/uid/{uid}").json()["dashboard"]["panels"]:
        for target in panel["targets"]:
            wait_until(partial(query, target["expr"]), SCRAPE_LIMIT)


@pytest.mark.parametrize(
    "expression",
    [
        '100 - (avg(rate(node_cpu_seconds_total{mode="idle"}[2m])) * 100)',
        "node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes * 100",
    ],
)
def test_percentages_are_percentages(
    query: Callable[[str], list[dict[str, Any]]], expression: str
) -> None:
    wait_until(lambda: query(expression), SCRAPE_LIMIT)
    (sample,) = query(expression)
    assert 0 <= float(sample["value"][1]) <= 100


def test_people_see_first_whether_all_is_well(get: Get) -> None:
    assert get("/api/dashboards/home").json()["dashboard"]["title"] == "¿Está todo bien?"


def test_its_pages_are_the_real_ones(get: Get, fake: bool) -> None:
    if fake:
        pytest.skip("a fake stands in for Grafana here, its pages are not Grafana's")
    assert "window.grafanaBootData" in get("/").body


# --- What it keeps to itself ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("analytics", "reporting_enabled", "false"),
        ("analytics", "check_for_updates", "false"),
        ("analytics", "check_for_plugin_updates", "false"),
        ("news", "news_feed_enabled", "false"),
        ("plugins", "preinstall_disabled", "true"),
        ("users", "allow_sign_up", "false"),
        ("auth.anonymous", "enabled", "false"),
    ],
)
def test_runs_with_the_written_settings(get: Get, section: str, key: str, value: str) -> None:
    assert get("/api/admin/settings").json()[section][key] == value


@pytest.mark.parametrize(
    "path",
    [
        "/etc/grafana/grafana.ini",
        "/etc/grafana/admin_password",
        "/etc/grafana/provisioning/datasources/labstack.yaml",
        "/etc/grafana/provisioning/dashboards/labstack.yaml",
        "/etc/grafana/dashboards/uso-cpu-memoria.json",
        "/etc/grafana/dashboards/grafana-com-1860.json",
    ],
)
def test_it_reads_its_files_and_cannot_change_them(host: Host, path: str) -> None:
    file = host.file(path)
    assert (file.user, file.group, file.mode) == ("root", "grafana", 0o640)


def test_secrets_are_where_only_grafana_reads_them(host: Host, password: str) -> None:
    monitoring = host.check_output("cat /etc/labstack/secrets/monitoring_password")
    assert password not in host.file("/etc/grafana/grafana.ini").content_string
    shown = [
        host.check_output("ps -eo args"),
        host.check_output("journalctl --no-pager --lines 2000"),
        host.check_output("systemctl show grafana-server"),
    ]
    for secret in (password, monitoring):
        assert not any(secret in text for text in shown)


def test_runs_as_a_user_of_its_own(host: Host) -> None:
    pid = host.check_output("systemctl show --property=MainPID --value grafana-server")
    assert host.process.get(pid=int(pid)).user == "grafana"


def test_is_sealed_off(host: Host) -> None:
    report = host.check_output("systemd-analyze security --no-pager grafana-server.service")
    exposure = re.search(r"exposure level for grafana-server\.service: ([\d.]+)", report)
    assert exposure
    assert float(exposure[1]) <= EXPOSURE_LIMIT


def test_its_memory_is_limited(host: Host) -> None:
    shown = host.check_output("systemctl show --property=MemoryMax --value grafana-server")
    assert int(shown) == 384 * 1024 * 1024


# --- What happens to it -----------------------------------------------------------------------


def test_comes_back_after_a_kill_with_everything(host: Host, get: Get) -> None:
    command = "systemctl show --property=MainPID --value grafana-server"
    before = host.check_output(command)
    count = len(get("/api/search?type=dash-db").json())
    host.check_output("kill -9 %s", before)

    def back() -> bool:
        return host.check_output(command) not in ("0", before) and get("/api/user").status == 200

    wait_until(back, RESTART_LIMIT)
    wait_until(lambda: len(get("/api/search?type=dash-db").json()) == count, RESCAN_LIMIT)
    assert get("/api/datasources/uid/prometheus/health").json()["status"] == "OK"


def test_a_dashboard_that_is_not_shipped_any_more_goes(host: Host, get: Get) -> None:
    """What an earlier version shipped, or a shorter list of grafana.com's named, goes."""
    shipped = set(host.check_output("ls -A /etc/grafana/dashboards").split())
    for name in ("shipped-once", "grafana-com-99"):
        text = json.dumps({"uid": name, "title": f"Of {name}", "panels": []})
        path = f"/etc/grafana/dashboards/{name}.json"
        host.check_output("printf %%s %s > %s && chmod 644 %s", text, path, path)
    wait_until(lambda: get("/api/dashboards/uid/shipped-once").status == 200, RESCAN_LIMIT)
    run = converge("--tags", "grafana")
    assert run.status == 0, run.output[-4000:]
    assert set(host.check_output("ls -A /etc/grafana/dashboards").split()) == shipped
    wait_until(lambda: get("/api/dashboards/uid/shipped-once").status == 404, RESCAN_LIMIT)
