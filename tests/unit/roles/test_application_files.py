"""What the role application adds to a Compose file, and what becomes of a refused way in."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from tests.unit.roles.rendering import evaluate, render

APPS, METRICS = (f"/etc/labstack/edge/{part}/shop.conf" for part in ("apps", "metrics"))


def labels(**versions: str) -> list[str]:
    """Return the lines with the labels of web, which mounts the secret, and of worker."""
    text = render(
        "application",
        "compose.labstack.yaml.j2",
        __application_secrets_result={"versions": versions},
    )
    return [line.strip() for line in text.splitlines() if line.strip().startswith("labels:")]


def test_a_changed_secret_changes_the_services_that_mount_it_alone() -> None:
    before, after = labels(app_shop_key="8"), labels(app_shop_key="9")
    assert before == ['labels: {"labstack.secrets-version": "8"}', "labels: {}"]
    assert after == ['labels: {"labstack.secrets-version": "9"}', "labels: {}"]


def way_back(changed: list[str], apps: str | None, msg: str) -> Any:
    """Return the files after a failure; apps' was there before (None: not), metrics' was not."""
    found = {} if apps is None else {"content": b64encode(apps.encode()).decode()}
    return evaluate(
        "application",
        "__application_way_back",
        application_edge_directory="/etc/labstack/edge",
        __application_former={"results": [{"item": "apps", **found}, {"item": "metrics"}]},
        __application_written={"changed_files": changed},
        ansible_failed_result={"msg": msg},
    )


def test_a_way_in_that_served_comes_back_and_a_new_one_goes() -> None:
    assert way_back([APPS, METRICS], "# before\n", "Apache cannot read the new configuration") == [
        {"dest": APPS, "content": "# before\n"},
        {"dest": METRICS, "state": "absent"},
    ]
    assert way_back([APPS], None, "Cannot connect to the Docker daemon") == [
        {"dest": APPS, "state": "absent"}
    ]


def test_what_this_run_did_not_write_goes_only_if_apache_refuses_it() -> None:
    assert way_back([], "# before\n", "Cannot connect to the Docker daemon") == []
    assert way_back([], "# of a killed run\n", "Apache cannot read the new configuration") == [
        {"dest": APPS, "state": "absent"},
        {"dest": METRICS, "state": "absent"},
    ]


@pytest.mark.parametrize(("events", "told"), [(["web"], True), ([], False)])
def test_what_ran_out_of_memory_is_told_of_one_between_two_starts(
    events: list[str], told: bool
) -> None:
    state = {"Name": "shop-web-1", "Service": "web", "State": "running", "ExitCode": 0}
    text = render(
        "application",
        "failure.txt.j2",
        __application_ps={"stdout_lines": [json.dumps(state)]},
        __application_oom={"stdout_lines": events},
    )
    assert ("web was killed, most likely because it reached its memory limit" in text) == told


def test_a_release_that_comes_back_needs_the_images_of_what_is_replaced() -> None:
    services = {
        "web": {"build": {"context": "."}},
        "cache": {"image": "memcached:1.6"},
        "db": {"image": "mysql:9"},
    }
    images = evaluate(
        "application",
        "__application_replaced_images",
        __application_compose={"stdout": json.dumps({"services": services})},
        __application_plan={
            "front": {"service": "web"},
            "others": ["cache"],
            "override": {"web": {"image": "labstack-apps/shop/web:0123456789ab"}, "db": {}},
        },
    )
    assert images == ["labstack-apps/shop/web:0123456789ab", "memcached:1.6"]


@pytest.mark.parametrize(("release", "fetching"), [("", "policy"), ("0123456789ab", "never")])
def test_a_release_that_comes_back_fetches_nothing(release: str, fetching: str) -> None:
    found = evaluate("application", "__application_fetching", application_release=release)
    assert found == fetching
