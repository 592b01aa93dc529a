"""Several hosts: whom the group `monitoring` scrapes, and what each host is told (wiring.yml)."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from tests.unit.roles.rendering import evaluate, variables

HOSTS = {"mon": "203.0.113.1", "web1": "203.0.113.2", "web2": "203.0.113.3", "db": "203.0.113.4"}
MONITORED = {"web1", "web2", "db"}


def secrets_of(host: str) -> dict[str, Any]:
    return {"secrets": {"monitoring_password": f"of-{host}", "monitoring_salt": f"salt-{host}"}}


@cache
def listeners_of(*, serves: bool) -> dict[str, Any]:
    """Return the listeners of a monitored host, which serves the web application or nothing."""
    exporters = ["mysqld_exporter"] if serves else []
    overrides = {"stack_monitors": False, "stack_webapp": serves, "stack_exporters": exporters}
    listeners: dict[str, Any] = evaluate("prometheus", "stack_listeners", **overrides)
    return listeners


def seen_by(host: str, group: list[str] | None = None, without: str = "") -> dict[str, Any]:
    """Return the overrides of a host's variables in an inventory of four."""
    others = {
        name: {
            "inventory_hostname": name,
            "stack_address": address,
            "stack_listeners": listeners_of(serves=name != "db"),
            "secrets_result": secrets_of(name),
            "secrets_hashes": {"monitoring_password": f"hash for {name}"},
        }
        for name, address in HOSTS.items()
    }
    if without:
        del others[without]["secrets_result"]
    groups = {"all": list(HOSTS)} | ({"monitoring": group} if group is not None else {})
    own = variables("prometheus")["secrets_result"]
    own = {**own, "secrets": {**own["secrets"], **secrets_of(host)["secrets"]}}
    return {
        "inventory_hostname": host,
        "groups": groups,
        "hostvars": others,
        "secrets_result": own,
        "stack_address": HOSTS[host],
    }


def jobs(host: str, group: list[str] | None = None) -> dict[str, dict[str, Any]]:
    found = evaluate("prometheus", "prometheus_jobs", **seen_by(host, group))
    return {job["name"]: job for job in found}


def test_the_monitoring_host_scrapes_all_and_says_whose_series_are_whose() -> None:
    node = jobs("mon", ["mon"])["node"]
    assert node["targets"] == ["localhost:9100"]
    assert node["labels"] == {"host": "mon"}
    assert node["hosts"] == {name: [f"{HOSTS[name]}:9100"] for name in MONITORED}


def test_what_only_a_web_host_has_is_scraped_there_alone_with_the_password() -> None:
    found = jobs("mon", ["mon"])
    assert found["mysql"]["hosts"] == {
        "web1": ["203.0.113.2:9104"],
        "web2": ["203.0.113.3:9104"],
    }
    assert found["mysql"]["basic_auth"] is True
    assert found["web"]["hosts"]["web1"] == ["http://203.0.113.2/", "https://203.0.113.2/"]
    assert set(found["ssh"]["hosts"]) == MONITORED


def test_a_host_that_only_watches_asks_others_for_what_it_has_not() -> None:
    overrides = seen_by("mon", ["mon"]) | {"stack_webapp": False}
    found = {job["name"]: job for job in evaluate("prometheus", "prometheus_jobs", **overrides)}
    assert found["mysql"]["targets"] == []
    assert set(found["mysql"]["hosts"]) == {"web1", "web2"}
    assert "apache" not in found


@pytest.mark.parametrize("group", [None, []])
def test_without_the_group_each_host_watches_itself_alone(group: list[str] | None) -> None:
    found = jobs("web1", group)
    assert "hosts" not in found["node"]
    assert "labels" not in found["node"]
    assert found["mysql"]["basic_auth"] is False


@pytest.mark.parametrize(("host", "monitors"), [("mon", True), ("web1", False)])
def test_who_watches_brings_prometheus_and_keeps_exporters_on_the_loopback(
    host: str, monitors: bool
) -> None:
    overrides = seen_by(host, ["mon"])
    assert evaluate("prometheus", "stack_monitors", **overrides) is monitors
    exporters = evaluate("prometheus", "stack_exporters", **overrides)
    assert ("blackbox_exporter" in exporters) is monitors
    address = evaluate("mysqld_exporter", "mysqld_exporter_listen_address", **overrides)
    users = evaluate("mysqld_exporter", "mysqld_exporter_basic_auth_users", **overrides)
    assert (address, bool(users)) == (
        ("127.0.0.1:9104", False) if monitors else ("0.0.0.0:9104", True)
    )


def test_a_monitored_host_accepts_the_monitoring_password_and_is_given_its_hash_only() -> None:
    expression = "node_exporter_basic_auth_users"
    monitored = evaluate("node_exporter", expression, **seen_by("web1", ["mon"]))
    assert monitored == {"monitor": "hash for mon"}
    assert monitored == evaluate("node_exporter", expression, **seen_by("mon", ["mon"]))
    overrides = seen_by("web1", ["mon"])
    assert evaluate("node_exporter", "node_exporter_probe_password", **overrides) == ""


def test_a_run_without_the_watching_host_says_so() -> None:
    overrides = seen_by("web1", ["mon"], without="mon")
    with pytest.raises(Exception, match="--limit mon,web1"):
        evaluate("node_exporter", "node_exporter_basic_auth_users", **overrides)


def test_the_verification_looks_at_what_a_host_has() -> None:
    def present(servers: dict[str, Any], **words: bool) -> set[str]:
        return {
            name
            for name, server in servers.items()
            if server["present"] and all(server[word] is wanted for word, wanted in words.items())
        }

    monitored = evaluate("verify", "verify_servers", **seen_by("web1", ["mon"]))
    assert {"prometheus", "grafana"} & present(monitored) == set()
    assert {"https", "node_exporter", "mysqld_exporter"} <= present(monitored, closed=False)
    assert {"mysql", "flask"} <= present(monitored, closed=True)
    assert monitored["node_exporter"]["password"] == "of-mon"
    own = evaluate("verify", "verify_servers", **seen_by("mon", ["mon"]))
    assert {"prometheus", "grafana"} <= present(own, closed=False)
    assert "mysqld_exporter" in present(own, closed=True)
