"""What people get of an alert: when it comes, which machine it names, and where to read on."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.role_readme import REPOSITORY, ROLES
from tests.unit.roles.rendering import load, render, written

LIMIT = 60  # seconds from what visitors notice to the message, and from its end to the message
UNITS = {"s": 1, "m": 60, "h": 3600}
# By the file of the rule: what visitors notice.
NOTICED = {"WebappDown": "webapp.yml", "ProbeFailed": "targets.yml"}


def seconds(text: str) -> int:
    return sum(int(number) * UNITS[unit] for number, unit in re.findall(r"(\d+)([smh])", text))


def prometheus(**overrides: object) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(render("prometheus", "prometheus.yml.j2", **overrides))
    return loaded


def route() -> dict[str, Any]:
    """Return Alertmanager's route."""
    loaded = yaml.safe_load(render("alertmanager", "alertmanager.yml.j2"))
    found: dict[str, Any] = loaded["route"]
    return found


def critical() -> dict[str, Any]:
    """Return the route of a critical alert, with what it has of its parent."""
    routes: list[dict[str, Any]] = route()["routes"]
    (own,) = [r for r in routes if r.get("matchers") == ['severity="critical"']]
    return route() | own


@pytest.mark.parametrize("alert", NOTICED)
def test_what_visitors_notice_is_told_within_a_minute_and_so_is_its_end(alert: str) -> None:
    path = ROLES / "prometheus/files/rules.d" / NOTICED[alert]
    (group, rule) = next(
        (group, rule)
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
        if rule.get("alert") == alert
    )
    # A scrape may have happened just before, and the next may hang until the one after it is due.
    scrape = 2 * seconds(prometheus()["global"]["scrape_interval"])
    look = seconds(group["interval"])
    assert rule["labels"]["severity"] == "critical"
    begins = scrape + look + seconds(rule["for"]) + seconds(critical()["group_wait"])
    ends = scrape + look + seconds(critical()["group_interval"])
    assert begins <= LIMIT, f"{alert} is told after {begins} s"
    assert ends <= LIMIT, f"the end of {alert} is told after {ends} s"


def test_a_host_that_watches_itself_is_named() -> None:
    labels = prometheus()["global"]["external_labels"]
    assert labels == {"host": "ec2", "address": "203.0.113.7"}
    # What a message is grouped by is its title: the subject of an e-mail, groupLabels of a webhook.
    assert "host" in route()["group_by"]


def test_a_monitoring_server_names_itself_beside_the_host_that_a_series_has() -> None:
    web = {"inventory_hostname": "web", "stack_address": "203.0.113.8", "stack_listeners": {}}
    hosts = {"web": web, "ec2": {}}
    seen = prometheus(__stack_monitored=["web"], hostvars=hosts, prometheus_jobs=[])
    assert seen["global"]["external_labels"] == {"monitor": "ec2"}


def test_the_role_alone_names_nobody() -> None:
    assert "external_labels" not in prometheus(prometheus_external_labels={})["global"]


def test_every_alert_leads_to_a_page_of_the_projects_repository() -> None:
    page = load(ROLES / "prometheus/defaults/main.yml")["prometheus_runbooks_url"]
    repository = load(REPOSITORY / "galaxy.yml")["repository"]
    assert page == f"{repository}/blob/main/docs/runbooks.md"
    rules = [
        rule
        for path, file in written("prometheus", "service.yml").items()
        if "/rules" in path and path != "/etc/prometheus/rules.d/extra_rule_groups.yml"
        for group in yaml.safe_load(file["content"])["groups"]
        for rule in group["rules"]
        if "alert" in rule
    ]
    assert "HighCPUUsage" in [rule["alert"] for rule in rules]
    for rule in rules:
        assert rule["annotations"]["runbook_url"] == f"{page}#{rule['alert'].lower()}"
