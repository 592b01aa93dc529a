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
# Those that stay; the other one runs once, before them.
STAY = {name: service for name, service in SERVICES.items() if name != "migrate"}
each_service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


def test_there_are_the_three_services_of_the_document() -> None:
    assert set(STAY) == {"apache", "flask-app", "mysql"}


def test_the_migration_runs_once_before_flask_and_alone_may_alter_tables() -> None:
    migration = SERVICES["migrate"]
    assert migration["restart"] == "no"
    assert "ports" not in migration
    waits = {"migrate": {"condition": "service_completed_successfully"}}
    assert SERVICES["flask-app"]["depends_on"] == waits
    for name in ("webapp_db_migration_password", "webapp_admin_password"):
        assert name in migration["secrets"]
        assert name not in SERVICES["flask-app"]["secrets"]
    # The same image: what migrates is what serves.
    assert migration["image"] == SERVICES["flask-app"]["image"]


def test_no_service_that_stays_waits_for_another() -> None:
    """After a reboot the engine starts them in any order."""
    for name, service in STAY.items():
        assert set(service.get("depends_on", {})) <= {"migrate"}, name


@each_service
def test_a_container_can_do_little_harm(service: dict[str, Any]) -> None:
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert not service["user"].startswith(("0", "root"))
    assert "privileged" not in service
    assert service["pids_limit"] <= 256
    assert re.fullmatch(r"\$\{WEBAPP_\w+_MEMORY:-\d+m\}", service["mem_limit"])


@pytest.mark.parametrize("service", STAY.values(), ids=STAY)
def test_a_container_comes_back_and_is_checked(service: dict[str, Any]) -> None:
    assert service["restart"] == "unless-stopped"
    assert {"test", "interval", "timeout", "retries", "start_period"} <= set(service["healthcheck"])


@each_service
def test_an_image_is_built_here_and_named_by_the_release(service: dict[str, Any]) -> None:
    # By what each is made of, so that what has not changed keeps its container.
    assert re.fullmatch(
        r"labstack/[a-z-]+:\$\{WEBAPP_(APACHE|FLASK|MYSQL)_TAG:-dev\}", service["image"]
    )
    assert service["pull_policy"] == "never"
    if "build" not in service:
        # Two builds of one name at the same time fail in Docker's containerd store.
        assert service["image"] == SERVICES["flask-app"]["image"]
        return
    context = APP / service["build"]["context"]
    dockerfile = (context / "Dockerfile").read_text()
    assert re.search(r"^USER \d", dockerfile, re.MULTILINE)
    # Nothing of a build context that is not named gets in.
    assert (context / ".dockerignore").read_text().startswith("*\n")


def test_secrets_are_files_and_nothing_else() -> None:
    for secret in PROJECT["secrets"].values():
        assert secret["file"].startswith("${WEBAPP_SECRETS_DIRECTORY:-./")
    for service in SERVICES.values():
        assert not [n for n in service.get("environment", {}) if "PASSWORD" in n or "SECRET" in n]
        assert "secrets" not in service.get("build", {})


@pytest.mark.parametrize("name", ["apache", "flask-app", "mysql"])
def test_a_base_image_is_a_choice_with_one_default(name: str) -> None:
    build = SERVICES[name]["build"]
    ((argument, value),) = build["args"].items()
    default = value.removeprefix(f"${{WEBAPP_{argument}:-").removesuffix("}")
    dockerfile = (APP / build["context"] / "Dockerfile").read_text()
    assert dockerfile.startswith(f"ARG {argument}={default}\n")
    image = argument.removesuffix("_VERSION").lower()
    bases = re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)
    assert set(bases) == {f"{image}:${{{argument}}}"}
    # By which Compose notices another one.
    assert SERVICES[name]["labels"]["labstack.base"] == value


def test_mysql_is_reached_by_flask_and_the_host_alone() -> None:
    assert SERVICES["mysql"]["ports"] == ["${WEBAPP_MYSQL_BIND:-127.0.0.1:3306}:3306"]
    assert [n for n, s in SERVICES.items() if "metrics" in s["networks"]] == ["mysql"]
    # No way out: nothing translates the network's addresses.
    options = PROJECT["networks"]["metrics"]["driver_opts"]
    assert options == {"com.docker.network.bridge.enable_ip_masquerade": "false"}
    assert PROJECT["networks"]["back"]["internal"] is True
    assert [n for n, s in SERVICES.items() if "back" in s["networks"]] == [
        "flask-app",
        "migrate",
        "mysql",
    ]


def test_flask_has_time_to_answer_what_is_under_way() -> None:
    server = (APP / "flask" / "serve.py").read_text()
    grace = re.search(r"^DRAIN = (\d+)$", server, re.MULTILINE)
    assert grace
    assert int(grace[1]) <= 10
    assert int(SERVICES["flask-app"]["stop_grace_period"].removesuffix("s")) > int(grace[1])


def test_apache_closes_idle_connections_before_flask_does() -> None:
    server = (APP / "flask" / "serve.py").read_text()
    apache = (APP / "edge" / "httpd.conf").read_text()
    kept = re.search(r"^IDLE = ([\d_]+)$", server, re.MULTILINE)
    reused = re.search(r"^ +ProxySet .* ttl=(\d+) ", apache, re.MULTILINE)
    assert kept
    assert reused
    assert int(kept[1]) / 1000 > int(reused[1])


def test_there_are_as_many_threads_as_connections_to_mysql() -> None:
    files = ("serve.py", "webapp/config.py")
    found = [
        re.search(r"^THREADS = (\d+)$", (APP / "flask" / name).read_text(), re.MULTILINE)
        for name in files
    ]
    assert found[0]
    assert found[1]
    assert found[0][1] == found[1][1]


def test_flask_is_reached_on_the_loopback_unless_told_otherwise() -> None:
    """By way of Apache: two of Flask, for a moment, cannot both have the port."""
    assert "ports" not in SERVICES["flask-app"]
    assert "${WEBAPP_FLASK_BIND:-127.0.0.1:5000}:5000" in SERVICES["apache"]["ports"]


def test_the_map_names_flask_by_its_alias() -> None:
    lines = (APP / "edge" / "slots.txt").read_text().splitlines()
    alias = SERVICES["flask-app"]["networks"]["front"]["aliases"][0]
    assert [line for line in lines if not line.startswith("#")] == [f"webapp {alias}:5000"]
    apache = (APP / "edge" / "httpd.conf").read_text()
    assert f'<Proxy "http://{alias}:5000">' in apache
    assert apache.count("${slots:webapp|webapp-flask-app:5000}") == 3


def test_what_apache_reads_comes_in_directories() -> None:
    """A file that is mounted by itself stays the old one; a reload would read that."""
    mounts = dict(volume.rsplit(":", 2)[-2::-1] for volume in SERVICES["apache"]["volumes"])
    assert set(mounts) == {"/run/edge", "/run/tls", "/run/trusted"}
    assert all(volume.endswith(":ro") for volume in SERVICES["apache"]["volumes"])
    assert "secrets" not in SERVICES["apache"]


def test_the_containers_leave_room_on_a_host_of_1_gib() -> None:
    # The migration runs beside the application for a moment; the release before is not up twice.
    limits = [re.findall(r":-(\d+)m", service["mem_limit"])[0] for service in STAY.values()]
    assert sum(int(limit) for limit in limits) <= 560
