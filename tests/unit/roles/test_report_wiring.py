"""What the report is given follows from what the stack pins and runs."""

from __future__ import annotations

from typing import Any

import yaml

from tests.role_readme import REPOSITORY
from tests.unit.roles.rendering import evaluate

PINS: dict[str, Any] = yaml.safe_load(
    (REPOSITORY / "group_vars" / "all" / "versions.yml").read_text(encoding="utf-8")
)


def test_every_pinned_program_is_in_the_report() -> None:
    found = evaluate("report", "report_programs")
    pinned = {name.removesuffix("_checksums") for name in PINS if name.endswith("_checksums")}
    assert set(found) == pinned | {"grafana"}
    for name, program in found.items():
        assert program["version"] == PINS[f"{name}_version"]
        assert program["checksums"] == PINS.get(f"{name}_checksums", {})


def test_the_base_images_are_those_of_the_application() -> None:
    assert evaluate("report", "report_images") == {
        f"{name}:{PINS[f'webapp_{name}_tag']}": PINS[f"webapp_{name}_digest"]
        for name in ("httpd", "python", "mysql")
    }


def test_a_host_without_the_application_has_none() -> None:
    assert evaluate("report", "report_images", stack_webapp=False) == {}
    assert "mysqld_exporter" not in evaluate("report", "report_programs", stack_webapp=False)


def test_the_programs_files_and_units_are_looked_at() -> None:
    files = evaluate("report", "report_files")
    assert {"/usr/local/bin/prometheus", "/usr/local/bin/promtool"} <= set(files)
    assert "/usr/local/bin/grafana" not in files
    units = evaluate("report", "report_units")
    assert {"prometheus.service", "grafana-server.service", "docker.service"} <= set(units)
    asked = evaluate("report", "report_commands")
    assert asked["checksums"] == ["sha256sum", *files]
    assert asked["units"][3:] == units
