"""Prometheus's own tool judges what the role prometheus writes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.unit.roles.rendering import render

CASES = sorted(Path(__file__).parent.glob("*.yml"))
FILES = ("prometheus.yml", "rules.yml", "web.yml")


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """Return a directory with the role's files, as in /etc/prometheus."""
    for name in FILES:
        (tmp_path / name).write_text(render("prometheus", f"{name}.j2"), encoding="utf-8")
    (tmp_path / "scrape_password").write_text("sample", encoding="utf-8")
    return tmp_path


def run(directory: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_rule(case: Path, written: Path, promtool: str) -> None:
    shutil.copy(case, written)
    run(written, promtool, "test", "rules", case.name)


def test_every_alert_has_a_test(written: Path) -> None:
    tested = "".join(case.read_text(encoding="utf-8") for case in CASES)
    text = (written / "rules.yml").read_text(encoding="utf-8")
    alerts = [line.split(": ")[1] for line in text.splitlines() if "- alert: " in line]
    assert alerts
    assert [alert for alert in alerts if f"alertname: {alert}" not in tested] == []


def test_rules_are_valid(written: Path, promtool: str) -> None:
    run(written, promtool, "check", "rules", "--lint=all", "--lint-fatal", "rules.yml")


def test_configuration_is_valid(written: Path, promtool: str) -> None:
    run(written, promtool, "check", "config", "--lint=all", "--lint-fatal", "prometheus.yml")


@pytest.mark.parametrize("users", ["with users", "without users"])
def test_web_configuration_is_valid(users: str, written: Path, promtool: str) -> None:
    if users == "without users":
        text = render("prometheus", "web.yml.j2", prometheus_basic_auth_users={})
        (written / "web.yml").write_text(text, encoding="utf-8")
    run(written, promtool, "check", "web-config", "web.yml")


def test_the_exporters_web_configuration_is_valid(tmp_path: Path, promtool: str) -> None:
    (tmp_path / "web.yml").write_text(render("node_exporter", "web.yml.j2"), encoding="utf-8")
    run(tmp_path, promtool, "check", "web-config", "web.yml")


@pytest.mark.parametrize(
    ("overrides", "file"),
    [
        ({"prometheus_scrape_interval": "5 parsecs"}, "prometheus.yml"),
        (
            {"prometheus_extra_jobs": [{"name": "a", "targets": ["http://b:1/metrics"]}]},
            "prometheus.yml",
        ),
        (
            {
                "prometheus_extra_rule_groups": [
                    {"name": "a", "rules": [{"alert": "A", "expr": "1 +"}]}
                ]
            },
            "rules.yml",
        ),
    ],
    ids=["interval", "target with a path", "expression"],
)
def test_what_a_person_mistypes_is_refused(
    overrides: dict[str, object], file: str, written: Path, promtool: str
) -> None:
    text = render("prometheus", f"{file}.j2", **overrides)
    (written / file).write_text(text, encoding="utf-8")
    command = [promtool, "check", "config", "prometheus.yml"]
    done = subprocess.run(command, cwd=written, capture_output=True, text=True, check=False)
    assert done.returncode != 0
