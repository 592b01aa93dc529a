"""What holds for every container of the application."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.role_readme import REPOSITORY

APP = REPOSITORY / "app"
TEXT = (APP / "compose.yaml").read_text()
PROJECT: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = PROJECT["services"]
each_service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


def test_there_are_the_three_services_of_the_document() -> None:
    assert set(SERVICES) == {"apache", "flask-app", "mysql"}


@each_service
def test_a_container_can_do_little_harm(service: dict[str, Any]) -> None:
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert not service["user"].startswith(("0", "root"))
    assert "privileged" not in service
    assert service["pids_limit"] <= 256
    assert re.fullmatch(r"\$\{WEBAPP_\w+_MEMORY:-\d+m\}", service["mem_limit"])


@each_service
def test_a_container_comes_back_and_is_checked(service: dict[str, Any]) -> None:
    assert service["restart"] == "unless-stopped"
    assert {"test", "interval", "timeout", "retries", "start_period"} <= set(service["healthcheck"])


@each_service
def test_an_image_is_built_here_and_named_by_the_release(service: dict[str, Any]) -> None:
    assert service["image"].endswith(":${WEBAPP_RELEASE:-dev}")
    assert service["pull_policy"] == "never"
    dockerfile = (APP / service["build"] / "Dockerfile").read_text()
    assert re.search(r"^USER \d", dockerfile, re.MULTILINE)
    # Nothing of a build context that is not named gets in.
    assert (APP / service["build"] / ".dockerignore").read_text().startswith("*\n")


def test_secrets_are_files_and_nothing_else() -> None:
    for name, secret in PROJECT["secrets"].items():
        directory = "TLS" if name.startswith("webapp_tls_") else "SECRETS"
        assert secret["file"].startswith(f"${{WEBAPP_{directory}_DIRECTORY:-./")
    for service in SERVICES.values():
        assert not [n for n in service.get("environment", {}) if "PASSWORD" in n or "SECRET" in n]
        assert "args" not in service["build"]


def test_mysql_is_reached_by_flask_and_the_host_alone() -> None:
    assert SERVICES["mysql"]["ports"] == ["${WEBAPP_MYSQL_BIND:-127.0.0.1:3306}:3306"]
    assert [n for n, s in SERVICES.items() if "metrics" in s["networks"]] == ["mysql"]
    # No way out: nothing translates the network's addresses.
    options = PROJECT["networks"]["metrics"]["driver_opts"]
    assert options == {"com.docker.network.bridge.enable_ip_masquerade": "false"}
    assert PROJECT["networks"]["back"]["internal"] is True
    assert [n for n, s in SERVICES.items() if "back" in s["networks"]] == ["flask-app", "mysql"]


def test_flask_listens_on_the_loopback_unless_told_otherwise() -> None:
    assert SERVICES["flask-app"]["ports"] == ["${WEBAPP_FLASK_BIND:-127.0.0.1:5000}:5000"]


def test_the_containers_leave_room_on_a_host_of_1_gib() -> None:
    limits = re.findall(r"_MEMORY:-(\d+)m", TEXT)
    assert sum(int(limit) for limit in limits) <= 560
