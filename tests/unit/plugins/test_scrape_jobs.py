"""The filters listener, listeners and scrape_jobs: from the table of services to scrape jobs."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.labstack.stack.plugins.filter import listener as of_listener
from ansible_collections.labstack.stack.plugins.filter import listeners as of_listeners
from ansible_collections.labstack.stack.plugins.filter import scrape_jobs as of_scrape_jobs

listener = of_listener.listener
listeners = of_listeners.listeners
scrape_jobs = of_scrape_jobs.scrape_jobs

Table = dict[str, dict[str, Any]]
TABLE: Table = {
    "node": {"listen": "0.0.0.0:9100", "exposure": "admins", "scrape": {"name": "node"}},
    "mysql": {"listen": ":9104", "exposure": "monitoring", "scrape": {"name": "mysql"}},
    "blackbox": {"listen": "127.0.0.1:9115", "exposure": "host"},
    "ssh": {
        "listen": 22,
        "exposure": "admins",
        "scrape": {"name": "ssh", "proxied_by": "blackbox"},
    },
}


def other(name: str, *roles: str, table: Table = TABLE) -> dict[str, Any]:
    """Return what the filter reads of another host's variables."""
    return {
        "inventory_hostname": name,
        "stack_address": f"{name}.example.net",
        "stack_listeners": listeners(table, roles),
    }


def jobs(*roles: str, others: tuple[dict[str, Any], ...] = (), table: Table = TABLE) -> Table:
    """Return the jobs of the host `mon` by name."""
    return {job["name"]: job for job in scrape_jobs(listeners(table, roles), "mon", others)}


@pytest.mark.parametrize(
    ("listen", "address", "loopback"),
    [
        ("0.0.0.0:9090", "localhost:9090", False),
        (":9090", "localhost:9090", False),
        (9090, "localhost:9090", False),
        ("[::]:9090", "localhost:9090", False),
        ("127.0.0.1:9090", "localhost:9090", True),
        ("[::1]:9090", "localhost:9090", True),
        ("127.0.0.53:9090", "127.0.0.53:9090", True),
        ("192.0.2.7:9090", "192.0.2.7:9090", False),
    ],
)
def test_a_host_reaches_its_service_where_it_listens(
    listen: object, address: str, loopback: bool
) -> None:
    found = listener({"listen": listen})
    assert (found["address"], found["port"], found["loopback"]) == (address, 9090, loopback)


@pytest.mark.parametrize(
    "wrong", ["", "localhost", "0.0.0.0:", "0.0.0.0:0", "0.0.0.0:65536", "x:y"]
)
def test_what_has_no_port_is_refused_under_the_name_of_its_variable(wrong: str) -> None:
    with pytest.raises(AnsibleFilterError, match=r'prometheus_listen_address: "127\.0\.0\.1:9090"'):
        listener({"listen": wrong, "variable": "prometheus_listen_address"})


def test_who_may_reach_a_service_is_one_of_four() -> None:
    with pytest.raises(AnsibleFilterError, match=r"stack_services\.x\.exposure.*everybody, admins"):
        listeners({"x": {"listen": 1, "exposure": "friends"}}, [])


def test_a_service_is_closed_by_the_table_or_by_its_address() -> None:
    table: Table = {
        "mysql": {"listen": "0.0.0.0:3306", "exposure": "host"},
        "flask": {"listen": "127.0.0.1:5000", "exposure": "admins"},
        "opened": {"listen": "0.0.0.0:5001", "exposure": "admins"},
        "timer": {"memory": "32M"},
    }
    found = listeners(table, ["mysql"])
    assert {name: one["closed"] for name, one in found.items()} == {
        "mysql": True,
        "flask": True,
        "opened": False,
    }


def test_the_port_is_claimed_by_what_may_hold_it_and_only_where_a_variable_moves_it() -> None:
    table: Table = {
        "ssh": {"listen": 22, "exposure": "admins"},
        "web": {"listen": 80, "exposure": "everybody", "unit": "compose", "variable": "http_port"},
    }
    found = listeners(table, [])
    assert found["ssh"]["claim"] is None
    assert found["web"]["claim"] == {"port": 80, "owner": "compose", "variable": "http_port"}


def test_a_host_that_monitors_itself_is_its_only_target() -> None:
    assert jobs("node") == {"node": {"name": "node", "targets": ["localhost:9100"]}}


def test_other_hosts_are_targets_under_their_names() -> None:
    job = jobs("node", others=(other("web1", "node"), other("web2", "node")))["node"]
    assert job["targets"] == ["localhost:9100"]
    assert job["labels"] == {"host": "mon"}
    assert job["hosts"] == {
        "web1": ["web1.example.net:9100"],
        "web2": ["web2.example.net:9100"],
    }


def test_another_host_is_asked_at_the_port_that_it_has() -> None:
    moved = {**TABLE, "node": {**TABLE["node"], "listen": "0.0.0.0:9200"}}
    job = jobs("node", others=(other("web", "node", table=moved),))["node"]
    assert (job["targets"], job["hosts"]) == (["localhost:9100"], {"web": ["web.example.net:9200"]})


def test_a_job_may_be_there_for_another_host_alone() -> None:
    job = jobs(others=(other("db", "mysql"), other("web")))["mysql"]
    assert job["targets"] == []
    assert job["hosts"] == {"db": ["db.example.net:9104"]}


def test_what_is_on_the_loopback_of_another_host_is_no_target() -> None:
    closed = {**TABLE, "mysql": {**TABLE["mysql"], "listen": "127.0.0.1:9104"}}
    assert "mysql" not in jobs(others=(other("db", "mysql", table=closed),))


def test_a_probe_needs_its_exporter_on_this_host() -> None:
    assert "ssh" not in jobs("ssh", others=(other("web", "ssh", "blackbox"),))
    job = jobs("ssh", "blackbox", others=(other("web", "ssh"),))["ssh"]
    assert job["proxied_by"] == "localhost:9115"
    assert job["targets"] == ["localhost:22"]
    assert job["hosts"] == {"web": ["web.example.net:22"]}


def test_services_with_one_job_name_are_one_job_and_a_default_port_is_left_out() -> None:
    table: Table = {
        name: {
            "role": "webapp",
            "listen": port,
            "exposure": "everybody",
            "scrape": {"name": "web", "target": f"{name}://{{host}}:{{port}}/"},
        }
        for name, port in {"http": 8080, "https": 443}.items()
    }
    job = jobs("webapp", others=(other("web", "webapp", table=table),), table=table)["web"]
    assert job["targets"] == ["http://localhost:8080/", "https://localhost/"]
    assert job["hosts"] == {"web": ["http://web.example.net:8080/", "https://web.example.net/"]}


def test_everything_else_is_handed_on_and_nothing_of_the_filters_own() -> None:
    scrape = {"name": "mysql", "basic_auth": False, "labels": {"tier": "data"}}
    table = {"mysql": {**TABLE["mysql"], "scrape": scrape}}
    assert jobs("mysql", others=(other("web", table=table),), table=table)["mysql"] == {
        "name": "mysql",
        "targets": ["localhost:9104"],
        "basic_auth": False,
        "labels": {"tier": "data", "host": "mon"},
    }
    assert scrape["labels"] == {"tier": "data"}


@pytest.mark.parametrize(
    ("scrape", "message"),
    [({"target": "x"}, "name: node"), ({"name": "x", "proxied_by": "y"}, "blackbox_exporter")],
)
def test_a_job_that_says_too_little_is_refused(scrape: dict[str, Any], message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=message):
        jobs("x", table={"x": {"listen": 1, "exposure": "host", "scrape": scrape}})


def test_ansible_finds_the_filters() -> None:
    assert of_listener.FilterModule().filters() == {"listener": listener}
    assert of_listeners.FilterModule().filters() == {"listeners": listeners}
    assert of_scrape_jobs.FilterModule().filters() == {"scrape_jobs": scrape_jobs}
