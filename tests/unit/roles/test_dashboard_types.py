"""Grafana's own types (@grafana/schema of its version) take the dashboards as they are."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.role_readme import REPOSITORY, ROLES

HERE = REPOSITORY / "tests" / "dashboards"
FILES = sorted((ROLES / "grafana" / "files" / "dashboards").glob("*.json"))
OPTIONS = [
    *("--noEmit", "--strict", "--skipLibCheck"),
    *("--moduleResolution", "bundler", "--module", "esnext", "--target", "es2022"),
]

# What makes a dashboard one that Grafana does not know, by its name.
Fault = Callable[[dict[str, Any]], None]
FAULTS: dict[str, Fault] = {
    "an option that Grafana does not know": lambda d: d["panels"][0]["options"].update(gone=1),
    "a value that an option does not take": lambda d: d["panels"][0]["options"].update(
        colorMode="bright"
    ),
    "a unit that is no text": lambda d: d["panels"][0]["fieldConfig"]["defaults"].update(unit=1),
    "a key of the dashboard": lambda d: d.update(titel="x"),
    "a kind of panel": lambda d: d["panels"][0].update(type="graph"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Grafana's types and the compiler, installed by checksum."""
    if not shutil.which("npm"):
        pytest.skip("npm is not here, which installs Grafana's types: apt-get install npm")
    made = tmp_path_factory.mktemp("dashboards")
    for name in ("package.json", "package-lock.json", ".npmrc", "types.ts"):
        shutil.copy(HERE / name, made)
    subprocess.run(["npm", "ci", "--silent"], cwd=made, check=True)
    return made


def complaints(folder: Path, name: str, dashboards: list[tuple[str, str]]) -> str:
    """Return what the compiler has against dashboards, each with its name and its JSON."""
    lines = ["import type { OurDashboard } from './types';"]
    for number, (title, text) in enumerate(dashboards):
        lines.append(f"// {title}\nexport const dashboard{number}: OurDashboard = {text};")
    (folder / name).write_text("\n".join(lines), encoding="utf-8")
    done = subprocess.run(
        ["node_modules/.bin/tsc", *OPTIONS, name],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode != 0) == bool(done.stdout), done.stderr
    return done.stdout


def test_grafanas_types_take_every_dashboard(folder: Path) -> None:
    dashboards = [(path.name, path.read_text(encoding="utf-8")) for path in FILES]
    assert complaints(folder, "all.ts", dashboards) == ""


def test_they_refuse_what_grafana_does_not_know(folder: Path) -> None:
    whole = json.loads((FILES[0].parent / "estado-general.json").read_text(encoding="utf-8"))
    assert whole["panels"][0]["type"] == "stat"
    broken = []
    for name, fault in FAULTS.items():
        one = copy.deepcopy(whole)
        fault(one)
        broken.append((name, json.dumps(one)))
    said = complaints(folder, "broken.ts", broken)
    lines = (folder / "broken.ts").read_text(encoding="utf-8").splitlines()
    refused = {
        lines[int(line.split("(")[1].split(",")[0]) - 2].removeprefix("// ")
        for line in said.splitlines()
        if line.startswith("broken.ts(")
    }
    assert refused == set(FAULTS)


def test_the_types_are_those_of_the_grafana_that_runs() -> None:
    versions = yaml.safe_load((REPOSITORY / "group_vars/all/versions.yml").read_text("utf-8"))
    used = {
        (name, version)
        for folder in (HERE, REPOSITORY / "tests" / "panels")
        for name, version in json.loads((folder / "package.json").read_text(encoding="utf-8"))[
            "devDependencies"
        ].items()
        if name.startswith("@grafana/")
    }
    assert {name for name, version in used if version != versions["grafana_version"]} == set()
    assert {"@grafana/schema", "@grafana/ui"} <= {name for name, version in used}
