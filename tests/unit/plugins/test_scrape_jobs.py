"""The filter scrape_jobs."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.labstack.stack.plugins.filter.scrape_jobs import FilterModule, scrape_jobs

NODE = {"name": "node", "targets": ["{host}:9100"]}
MYSQL = {"name": "mysql", "targets": ["{host}:9104"], "needs": "mysqld_exporter"}


def other(name: str, *services: str) -> dict[str, Any]:
    """Return what the filter reads of another host's variables."""
    return {
        "inventory_hostname": name,
        "stack_address": f"{name}.example.net",
        "stack_services": list(services),
    }


def test_a_host_that_watches_itself_is_its_only_target() -> None:
    assert scrape_jobs([NODE], "web", []) == [{"name": "node", "targets": ["localhost:9100"]}]


def test_a_job_is_there_when_the_host_has_what_it_needs() -> None:
    assert scrape_jobs([MYSQL], "web", []) == []
    (job,) = scrape_jobs([MYSQL], "web", ["mysqld_exporter"])
    assert job == {"name": "mysql", "targets": ["localhost:9104"]}


def test_other_hosts_are_targets_under_their_names() -> None:
    (job,) = scrape_jobs([NODE], "mon", [], [other("web1"), other("web2")])
    assert job["targets"] == ["localhost:9100"]
    assert job["labels"] == {"host": "mon"}
    assert job["hosts"] == {
        "web1": ["web1.example.net:9100"],
        "web2": ["web2.example.net:9100"],
    }


def test_a_job_may_be_there_for_another_host_alone() -> None:
    (job,) = scrape_jobs([MYSQL], "mon", [], [other("db", "mysqld_exporter"), other("web")])
    assert job["targets"] == []
    assert job["hosts"] == {"db": ["db.example.net:9104"]}


def test_a_job_of_this_host_leaves_the_others_out() -> None:
    (job,) = scrape_jobs([{**NODE, "here": True}], "mon", [], [other("web")])
    assert "hosts" not in job


def test_who_looks_must_be_on_this_host() -> None:
    looked_at = {"name": "ssh", "targets": ["{host}:22"], "by": "blackbox_exporter"}
    assert scrape_jobs([looked_at], "mon", [], [other("web", "blackbox_exporter")]) == []
    assert len(scrape_jobs([looked_at], "mon", ["blackbox_exporter"], [other("web")])) == 1


def test_everything_else_is_handed_on_and_nothing_of_the_filters_own() -> None:
    scrape = {**MYSQL, "by": "x", "here": True, "basic_auth": False, "labels": {"tier": "data"}}
    (job,) = scrape_jobs([scrape], "mon", ["mysqld_exporter", "x"], [other("web")])
    assert job == {
        "name": "mysql",
        "targets": ["localhost:9104"],
        "basic_auth": False,
        "labels": {"tier": "data", "host": "mon"},
    }
    assert scrape["labels"] == {"tier": "data"}


@pytest.mark.parametrize("wrong", [{"name": "node"}, {"targets": ["x"]}, {}])
def test_an_entry_without_name_or_targets_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(AnsibleFilterError, match="name: node"):
        scrape_jobs([wrong], "mon", [])


def test_ansible_finds_the_filter() -> None:
    assert FilterModule().filters()["scrape_jobs"] is scrape_jobs
