"""Prometheus's own tool judges what the role prometheus writes."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.role_readme import REPOSITORY, ROLES
from tests.unit.roles.rendering import render

CASES = sorted(Path(__file__).parent.glob("*.yml"))
TEMPLATES = ("prometheus.yml", "web.yml", "extra_rule_groups.yml")
DELIVERED = ROLES / "prometheus" / "files"
CONCERNS = DELIVERED / "rules.d"
RUNBOOKS = "docs/runbooks.md"
LANGUAGES = (RUNBOOKS, "docs/es/runbooks.md")
SEVERITIES = ("critical", "warning", "info", "none")
# Its text is given, and does not name the value.
GIVEN_TEXTS = ("HighCPUUsage",)


def alerts() -> dict[str, dict[str, Any]]:
    """Return every alert that the role delivers, by name."""
    texts = [(DELIVERED / "rules.yml").read_text(encoding="utf-8")]
    texts += [path.read_text(encoding="utf-8") for path in sorted(CONCERNS.glob("*.yml"))]
    rules = [
        rule
        for text in texts
        for group in yaml.safe_load(text)["groups"]
        for rule in group["rules"]
    ]
    found = [rule for rule in rules if "alert" in rule]
    assert len({rule["alert"] for rule in found}) == len(found), "two alerts have one name"
    return {rule["alert"]: rule for rule in found}


ALERTS = alerts()
each_alert = pytest.mark.parametrize("alert", ALERTS)


def expectations() -> Iterator[tuple[str, bool, bool]]:
    """Yield, for each look at an alert, its name, whether it fires, and whether its test fires it.

    An alert that has not fired yet is no proof of silence: only a test counts where it never does.
    """
    for case in CASES:
        for test in yaml.safe_load(case.read_text(encoding="utf-8"))["tests"]:
            looks = test.get("alert_rule_test", [])
            for name in {look["alertname"] for look in looks}:
                own = [bool(look.get("exp_alerts")) for look in looks if look["alertname"] == name]
                yield name, any(own), bool(test.get("input_series"))


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """Return a directory with the role's files, as in /etc/prometheus."""
    shutil.copytree(DELIVERED, tmp_path, dirs_exist_ok=True)
    for name in TEMPLATES:
        place = tmp_path / "rules.d" if name == "extra_rule_groups.yml" else tmp_path
        (place / name).write_text(render("prometheus", f"{name}.j2"), encoding="utf-8")
    (tmp_path / "scrape_password").write_text("sample", encoding="utf-8")
    return tmp_path


def run(directory: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_rule(case: Path, written: Path, promtool: str) -> None:
    shutil.copy(case, written)
    run(written, promtool, "test", "rules", case.name)


@each_alert
def test_an_alert_is_seen_firing_and_seen_silent(alert: str) -> None:
    seen = [(fires, fed) for name, fires, fed in expectations() if name == alert]
    assert any(fires for fires, _ in seen), f"no test sees {alert} fire"
    silent = [fed for fires, fed in seen if not fires]
    assert silent, f"no test sees {alert} stay silent"
    assert all(silent), f"{alert} is silent in a test without any series: that proves nothing"


@each_alert
def test_an_alert_says_how_bad_it_is_and_what_it_saw(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in SEVERITIES
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["description"]
    if alert not in GIVEN_TEXTS:
        assert "$value" in rule["annotations"]["description"]
    assert rule["annotations"]["runbook_url"] == f"{RUNBOOKS}#{alert.lower()}"


@pytest.mark.parametrize("runbooks", LANGUAGES)
@each_alert
def test_an_alert_has_a_section_in_the_runbooks(alert: str, runbooks: str) -> None:
    text = (REPOSITORY / runbooks).read_text(encoding="utf-8")
    section = re.search(rf"^### {alert}\n+(.+?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    assert section, f"{runbooks} has no section ### {alert}"
    assert "`" in section[1], "a section names a command to type"


@pytest.mark.parametrize("runbooks", LANGUAGES)
def test_the_runbooks_have_no_section_of_an_alert_that_is_gone(runbooks: str) -> None:
    text = (REPOSITORY / runbooks).read_text(encoding="utf-8")
    assert set(re.findall(r"^### (\w+)$", text, re.MULTILINE)) == set(ALERTS)


def test_every_case_is_about_a_rules_file_that_is_delivered(written: Path) -> None:
    for case in CASES:
        for name in yaml.safe_load(case.read_text(encoding="utf-8"))["rule_files"]:
            assert (written / name).is_file(), f"{case.name} tests {name}"


def test_rules_are_valid(written: Path, promtool: str) -> None:
    files = ["rules.yml", *(f"rules.d/{path.name}" for path in sorted(CONCERNS.glob("*.yml")))]
    run(written, promtool, "check", "rules", "--lint=all", "--lint-fatal", *files)


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
            "rules.d/extra_rule_groups.yml",
        ),
    ],
    ids=["interval", "target with a path", "expression"],
)
def test_what_a_person_mistypes_is_refused(
    overrides: dict[str, object], file: str, written: Path, promtool: str
) -> None:
    text = render("prometheus", f"{Path(file).name}.j2", **overrides)
    (written / file).write_text(text, encoding="utf-8")
    command = [promtool, "check", "config", "prometheus.yml"]
    done = subprocess.run(command, cwd=written, capture_output=True, text=True, check=False)
    assert done.returncode != 0
