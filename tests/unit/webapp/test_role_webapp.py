"""What the role webapp writes and says."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from tests.role_readme import REPOSITORY
from tests.unit.roles.rendering import evaluate, load, render

COMPOSE = yaml.safe_load((REPOSITORY / "app" / "compose.yaml").read_text())
VARS = load(REPOSITORY / "roles" / "webapp" / "vars" / "main.yml")


def environment(**overrides: Any) -> dict[str, str]:
    lines = render("webapp", "env.j2", **overrides).splitlines()
    return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


def test_the_settings_are_those_that_compose_yaml_knows() -> None:
    known = set(re.findall(r"\$\{(\w+):-", (REPOSITORY / "app" / "compose.yaml").read_text()))
    assert set(environment()) == known | {"COMPOSE_PROJECT_NAME"}


def test_the_defaults_are_those_of_compose_yaml() -> None:
    defaults = dict(
        re.findall(
            r"\$\{(WEBAPP_\w+_(?:MEMORY|PORT|BIND)):-([^}]+)\}",
            (REPOSITORY / "app" / "compose.yaml").read_text(),
        )
    )
    written = environment()
    assert {name: written[name] for name in defaults} == defaults


def test_a_tag_stands_for_what_an_image_is_made_of() -> None:
    written = environment(webapp_python_tag="3.13-slim", webapp_python_digest="sha256:ab")
    assert written["WEBAPP_FLASK_TAG"] == "%(flask+3.13-slim@sha256:ab)s"
    # A release that comes back has what it ran on.
    kept = evaluate("webapp", "__webapp_kept_settings")
    assert set(kept) == {
        f"WEBAPP_{name}"
        for name in (
            "APACHE_TAG", "APACHE_VERSION", "HTTPD_TAG", "HTTPD_VERSION", "FLASK_TAG",
            "FLASK_VERSION", "PYTHON_TAG", "PYTHON_VERSION", "MYSQL_TAG", "MYSQL_VERSION",
        )
    }  # fmt: skip


def test_a_version_counts_for_the_containers_that_have_the_secret() -> None:
    services = COMPOSE["services"].items()
    secrets = {name: service.get("secrets", []) for name, service in services}
    assert VARS["__webapp_mysql_secrets"] == secrets["mysql"]
    # Flask's container tells whether the migration has run for the secrets of now.
    migration = set(secrets["migrate"]) - set(secrets["mysql"])
    assert set(VARS["__webapp_flask_secrets"]) == set(secrets["flask-app"]) | migration


def test_the_role_starts_what_stays() -> None:
    names = [name for name, service in COMPOSE["services"].items() if service["restart"] != "no"]
    assert VARS["__webapp_service_names"] == names


def test_a_changed_secret_changes_the_label_of_its_services_alone() -> None:
    versions = dict.fromkeys(COMPOSE["secrets"], "1")
    before = environment(webapp_secrets_versions=versions)
    after = environment(webapp_secrets_versions={**versions, "webapp_admin_password": "2"})
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"WEBAPP_FLASK_SECRETS_VERSION"}


def test_a_digest_pins_the_base_image() -> None:
    pinned = environment(webapp_httpd_tag="2.4.68", webapp_httpd_digest="sha256:ab")
    assert pinned["WEBAPP_HTTPD_VERSION"] == "2.4.68@sha256:ab"
    tagged = environment(webapp_httpd_tag="2.4", webapp_httpd_digest="")
    assert tagged["WEBAPP_HTTPD_VERSION"] == "2.4"


def test_without_versions_there_are_empty_ones() -> None:
    assert environment(webapp_secrets_versions={})["WEBAPP_MYSQL_SECRETS_VERSION"] == "---"


def service(name: str, state: str, health: str = "", code: int = 0) -> str:
    status = f"{state} ({health or code})"
    entry = {"Service": name, "State": state, "Status": status, "Health": health}
    return json.dumps({**entry, "ExitCode": code})


def failure(
    *services: str,
    error: str = "unhealthy",
    log: str = "a line",
    killed: tuple[str, ...] = (),
    **more: Any,
) -> str:
    """Render the message; `killed` are the services of which the engine tells an event `oom`."""
    ps = {"stdout": "\n".join(services), "stdout_lines": list(services)}
    logs = {"stdout": log, "stdout_lines": log.splitlines()}
    values = {"__webapp_ps": ps, "__webapp_logs": logs, "__webapp_error": error}
    values |= {"__webapp_oom": {"stdout_lines": list(killed)}}
    return render("webapp", "failure.txt.j2", **values, **more)


def test_failing_are_those_that_do_not_run_or_are_not_healthy() -> None:
    lines = [
        service("apache", "running", "healthy"),
        service("flask-app", "running", "starting"),
        service("mysql", "exited", code=1),
    ]
    assert evaluate("webapp", "__webapp_failing", __webapp_ps={"stdout_lines": lines}) == [
        "flask-app",
        "mysql",
    ]


def test_the_failing_service_its_log_and_the_next_command_are_shown() -> None:
    text = failure(
        service("apache", "running", "healthy"),
        service("mysql", "exited", code=1),
        log="\x1b[2Kmysql-1  | the reason",
    )
    assert "mysql: exited (1)" in text
    assert "apache" not in text.split("Last lines")[0].split("What failed")[1]
    assert "\nmysql-1  | the reason" in text
    assert "sudo docker compose logs mysql" in text


@pytest.mark.parametrize(
    ("error", "code", "log", "cause"),
    [
        ("driver failed: bind: address already in use", 0, "", "sudo ss -ltnp"),
        ("Bind for 0.0.0.0:80 failed: port is already allocated", 0, "", "webapp_http_port: 8080"),
        ("write /x: no space left on device", 0, "", "df -h"),
        ("mysql:9.7: failed to resolve source metadata", 0, "", "docker_registry_mirrors:"),
        ("unhealthy", 137, "", "webapp_mysql_memory: 400m"),
        ("unhealthy", 137, "", "mysql was killed, most likely because it reached its memory limit"),
        (
            "unhealthy",
            1,
            "mysql-start: secret webapp_db_password is empty",
            "/etc/labstack/secrets",
        ),
        ("unhealthy", 1, "Secret webapp_secret_key cannot be read from /run", "run site.yml"),
        ("unhealthy", 1, "/var/lib/mysql holds a database that this image did not make", "adopt"),
        ("x The migration failed: MySQL does not answer", 0, "", "run site.yml"),
        ("Traceback (most recent call last):", 0, "", "the traceback names the line"),
        ("OCI runtime create failed: read init-p: connection reset by peer", 0, "", "free -m"),
        ("unhealthy", 1, "a line", "the log below"),
    ],
)
def test_the_likely_cause_is_told(error: str, code: int, log: str, cause: str) -> None:
    text = failure(service("mysql", "exited", code=code), error=error, log=log)
    told = [line for line in text.splitlines() if line.startswith("Likely cause: ")]
    assert len(told) == 1
    assert cause in told[0]


def test_what_ran_out_of_memory_is_told_of_one_between_two_starts() -> None:
    text = failure(service("mysql", "running", "starting"), killed=("mysql", "mysql"))
    assert "Likely cause: mysql was killed" in text
    # Of a container that is gone since: by the engine, or by the rollout.
    text = failure(service("flask-app", "running", "healthy"), killed=("flask-app",))
    assert "Likely cause: flask-app was killed" in text
    text = failure(service("mysql", "running", "healthy"), error="limit of 160 MiB (OOM)")
    assert "Likely cause: a container was killed" in text


def test_a_failed_build_is_told() -> None:
    text = failure(service("mysql", "running", "healthy"), error="exit code: 1", log="")
    assert "Likely cause: the images could not be built" in text


@pytest.mark.parametrize(
    ("release", "more", "words"),
    [
        ({"current": ""}, {}, "No other release and no other settings were in use"),
        ({"current": "0123456789ab"}, {}, "No other release and no other settings were in use"),
        (
            {"current": "0123456789ab", "former_settings": "X=1\n"},
            {"__webapp_back": {"failed": False}},
            "serves again with the settings that it had before",
        ),
        (
            {"current": "0123456789ab", "former_settings": "X=1\n"},
            {"__webapp_back": {"failed": True}},
            "the application is down",
        ),
        ({}, {"__webapp_back": {"failed": False}}, "ba9876543210, serves on"),
        ({}, {"__webapp_back": {"failed": True}}, "the application is down"),
    ],
)
def test_it_is_told_what_serves_now(
    release: dict[str, str], more: dict[str, Any], words: str
) -> None:
    whole = {"name": "0123456789ab", "path": "/opt/webapp/releases/0123456789ab"}
    whole |= {"current": "ba9876543210", "former_settings": ""} | release
    assert words in failure(service("mysql", "exited"), __webapp_release=whole, **more)
