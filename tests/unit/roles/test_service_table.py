"""One table of services: whoever needs a port, an interval or a limit reads it there."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest
import yaml

from tests.role_readme import REPOSITORY, ROLES
from tests.unit.roles.rendering import evaluate, load, render

GROUP_VARS = REPOSITORY / "group_vars" / "all"
TABLE: dict[str, dict[str, Any]] = load(GROUP_VARS / "services.yml")["stack_services"]
# What each is moved to: everything that chooses a port, and the interval.
MOVED: dict[str, Any] = {
    "webapp_http_port": 1080,
    "webapp_https_port": 1443,
    "webapp_status_bind": "127.0.0.1:18082",
    "webapp_flask_bind": "127.0.0.1:15000",
    "webapp_mysql_bind": "127.0.0.1:13306",
    "node_exporter_listen_address": "0.0.0.0:19100",
    "mysqld_exporter_listen_address": "127.0.0.1:19104",
    "apache_exporter_listen_address": "127.0.0.1:19117",
    "blackbox_exporter_listen_address": "127.0.0.1:19115",
    "alertmanager_listen_address": "127.0.0.1:19093",
    "prometheus_listen_address": "0.0.0.0:19090",
    "grafana_listen_address": "0.0.0.0:13000",
}
FORMER = re.compile(r"\b(80|443|8082|5000|3306|9100|9104|9117|9115|9093|9090|3000)\b")
# Variables of group_vars/all that are about ports: each is asked whether it has followed.
FOLLOWING = [
    "prometheus_jobs",
    "prometheus_alertmanagers",
    "prometheus_external_url",
    "alertmanager_external_url",
    "grafana_root_url",
    "grafana_prometheus_url",
    "hardening_limited_ports",
    "certificate_https_port",
    "mysqld_exporter_mysql_address",
    "apache_exporter_status_url",
    "ec2_instance_public_ports",
    "ec2_instance_admin_ports",
    "preflight_ports",
    "verify_servers",
    "application_edge_status_address",
    "application_edge_status_url",
    "application_https_port",
    "__stack_application_jobs",
    "__stack_doors",
]


def asked(name: str, **overrides: object) -> Any:
    # A role that has none of these variables itself.
    return evaluate("journald", name, **overrides)


def test_the_test_moves_everything_that_chooses_a_port() -> None:
    assert {row["variable"] for row in TABLE.values() if "variable" in row} == set(MOVED)


@pytest.mark.parametrize("name", FOLLOWING)
def test_every_consumer_has_the_documents_port_until_it_moves(name: str) -> None:
    apps = {"webapp_apps": {"shop": {"source": "../shop", "path": "/shop"}}}
    before, after = asked(name, **apps), asked(name, **MOVED, **apps)
    assert FORMER.search(str(before)) or name == "prometheus_jobs"
    assert not FORMER.search(str(after)), after
    assert before != after


def test_whatever_is_about_a_port_is_asked_above() -> None:
    """A new variable that follows the table has to stand in FOLLOWING."""
    known = {*FOLLOWING, *MOVED, "stack_services", "stack_listeners", "__stack_present"}
    text = "".join(path.read_text() for path in sorted(GROUP_VARS.glob("*.yml")))
    found = set()
    for match in re.finditer(r"^(\w+):((?:.*\n)(?: .*\n)*)", text, re.MULTILINE):
        if re.search(r"listener|__stack_present", match[2]):
            found.add(match[1])
    assert found - known == set()


def test_no_other_file_of_the_stack_has_a_port() -> None:
    found = {
        f"{path.relative_to(REPOSITORY)}: {line}"
        for path in [*GROUP_VARS.glob("*.yml"), REPOSITORY / "site.yml"]
        if path.name not in {"services.yml", "versions.yml"}
        for line in path.read_text().splitlines()
        if re.search(r":\d{2,5}\b", line.split("#")[0])
    }
    assert found == set()


def test_targets_and_probes_move() -> None:
    jobs = {job["name"]: job for job in asked("prometheus_jobs", **MOVED)}
    assert {name: job["targets"] for name, job in jobs.items()} == {
        "prometheus": ["localhost:19090"],
        "node": ["localhost:19100"],
        "alertmanager": ["localhost:19093"],
        "webapp": ["localhost:15000"],
        "mysql": ["localhost:19104"],
        "apache": ["localhost:19117"],
        "web": ["http://localhost:1080/", "https://localhost:1443/"],
        "ssh": ["localhost:22"],
    }
    assert {jobs[name]["proxied_by"] for name in ("web", "ssh")} == {"localhost:19115"}
    config = render("prometheus", "prometheus.yml.j2", **MOVED)
    assert not FORMER.search(config)


def test_links_and_the_data_source_move() -> None:
    assert asked("prometheus_external_url", **MOVED) == "http://203.0.113.7:19090/"
    assert asked("grafana_root_url", **MOVED) == "http://203.0.113.7:13000/"
    assert asked("grafana_prometheus_url", **MOVED) == "http://localhost:19090"
    assert asked("grafana_prometheus_url", prometheus_listen_address="192.0.2.7:9090") == (
        "http://192.0.2.7:9090"
    )
    assert asked("prometheus_alertmanagers", **MOVED) == ["localhost:19093"]


def test_exporters_ask_where_the_application_is() -> None:
    assert asked("mysqld_exporter_mysql_address", **MOVED) == "127.0.0.1:13306"
    assert asked("apache_exporter_status_url", **MOVED) == "http://127.0.0.1:18082/.status?auto"


def test_preflight_keeps_every_port_free_and_names_what_chooses_it() -> None:
    claims = asked("preflight_ports", **MOVED)
    assert {claim["variable"] for claim in claims} == set(MOVED)
    assert all(str(MOVED[c["variable"]]).split(":")[-1] == str(c["port"]) for c in claims)


def test_preflight_claims_nothing_for_what_a_host_does_not_get() -> None:
    claims = asked("preflight_ports", stack_webapp=False, stack_monitors=False)
    assert [claim["variable"] for claim in claims] == ["node_exporter_listen_address"]


def test_the_security_group_lets_in_whom_the_table_says() -> None:
    assert sorted(asked("ec2_instance_public_ports")) == [80, 443]
    assert sorted(asked("ec2_instance_admin_ports")) == [22, 3000, 5000, 9090, 9100]
    assert sorted(asked("ec2_instance_admin_ports", **MOVED)) == [22, 13000, 15000, 19090, 19100]


def closed_ports(**overrides: object) -> set[int]:
    servers = asked("verify_servers", **overrides).values()
    return {server["port"] for server in servers if server["present"] and server["closed"]}


def test_what_is_closed_is_on_the_loopback_or_for_the_host_alone() -> None:
    closed = {3306, 5000, 8082, 9093, 9104, 9115, 9117}
    assert closed_ports() == closed
    assert closed_ports(webapp_flask_bind="0.0.0.0:5000") == closed - {5000}
    assert not {9104, 9117, 9093, 9115} & closed_ports(stack_monitors=False)


def test_the_panels_smallest_step_is_the_scrape_interval() -> None:
    assert asked("grafana_prometheus_interval") == "5s"
    assert asked("grafana_prometheus_interval", prometheus_scrape_interval="30s") == "30s"
    source = render("grafana", "datasources.yaml.j2", prometheus_scrape_interval="30s", **MOVED)
    assert "30s" in source
    assert "http://localhost:19090" in source


def test_a_default_of_the_table_is_the_roles_own() -> None:
    defaults = [load(path) for path in ROLES.glob("*/defaults/main.yml")]
    roles = {name: value for file in defaults for name, value in file.items()}
    rows = {service: row["variable"] for service, row in TABLE.items() if "variable" in row}
    told = {name: str(asked(f"stack_services.{service}.listen")) for service, name in rows.items()}
    assert told == {name: str(roles[name]) for name in rows.values()}


def test_the_intervals_default_is_the_roles_own() -> None:
    roles = load(ROLES / "prometheus" / "defaults" / "main.yml")
    assert asked("grafana_prometheus_interval") == roles["prometheus_scrape_interval"]


def test_exporters_are_brought_and_taken_off_as_the_table_says() -> None:
    beside = asked("__stack_exporter_beside")
    assert set(beside) <= set(TABLE)
    assert asked("exporters_roles") == list(beside)
    assert asked("exporters_roles", stack_webapp=False) == ["blackbox_exporter"]
    (play,) = yaml.safe_load((REPOSITORY / "playbooks" / "teardown.yml").read_text())
    order = evaluate("journald", str(play["tasks"][0]["loop"]).strip()[2:-2])
    roles = {path.parent.parent.name for path in ROLES.glob("*/tasks/teardown.yml")}
    # Those that bring others are taken off by them; `applications` takes off each application.
    assert set(order) == roles - {"application"}
    assert order.index("blackbox_exporter") < order.index("container_metrics")


def test_an_exporter_stands_in_four_files_beside_its_role() -> None:
    """With its role five places: everything else follows."""
    listed = subprocess.run(
        [
            "git",
            "grep",
            "-l",
            "mysqld_exporter_",
            "--",
            ":!docs",
            ":!tests",
            ":!molecule",
            ":!*.md",
            # The words that its variables had before.
            ":!roles/preflight/vars",
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert {path for path in listed if not path.startswith("roles/mysqld_exporter/")} <= {
        "group_vars/all/services.yml",
        "group_vars/all/versions.yml",
        # The most memory that it may take, which may stand in services.yml.
        "group_vars/all/stack.yml",
        # Its version and checksum in the report.
        "group_vars/all/report.yml",
    }


def test_the_wiring_stays_short() -> None:
    assert len((GROUP_VARS / "wiring.yml").read_text().splitlines()) <= 90


def test_what_a_person_sets_in_stack_yml_wins_over_the_table() -> None:
    """Files of one folder are read by name, and the last one wins."""
    assert sorted(path.name for path in GROUP_VARS.glob("s*.yml")) == ["services.yml", "stack.yml"]
