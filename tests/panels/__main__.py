"""`python -m tests.panels ADDRESS`: pictures of the dashboards, with what a host answers.

Grafana draws them only where it runs. Its components are published, so a browser is enough to see
a panel after a change to dashboards/, with values that Prometheus really has.
"""

from __future__ import annotations

import argparse
import filecmp
import getpass
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from ansible_collections.labstack.stack.plugins.module_utils.http import Client, HttpError

from evidence.pictures import NoBrowserError, opened
from evidence.prometheus import Prometheus
from tests.role_readme import REPOSITORY, ROLES
from tests.stack.panels import BUILT_IN, fill_in

if TYPE_CHECKING:
    from playwright.sync_api import Route

HERE = Path(__file__).parent
FILES = sorted((ROLES / "grafana" / "files" / "dashboards").glob("*.json"))
PICTURES = REPOSITORY / ".lab" / "test" / "panels"
PACKAGES = REPOSITORY / ".lab" / "panels"
PASSWORD = "MONITORING_PASSWORD"  # a variable of the environment
ORIGIN = "http://panels.invalid/"  # no server: files answer the browser
ICONS = ("public/build/", "node_modules/@grafana/ui/dist/public/")  # asked for, and there
STEP = 15  # seconds, as Prometheus scrapes
TIMEOUT = 10.0  # seconds for an answer

Ask = Callable[[str, bool], list[dict[str, Any]]]  # the query, and whether it is instant


def bundle() -> None:
    """Install Grafana's packages by checksum, where they have changed, and bundle the page."""
    PACKAGES.mkdir(parents=True, exist_ok=True)
    for name in ("page.tsx", "page.html", "package.json", ".npmrc"):
        shutil.copy(HERE / name, PACKAGES)
    lock, installed = PACKAGES / "package-lock.json", PACKAGES / "installed.json"
    shutil.copy(HERE / lock.name, lock)
    if not installed.exists() or not filecmp.cmp(lock, installed, shallow=False):
        subprocess.run(["npm", "ci", "--silent"], cwd=PACKAGES, check=True)
        # Last, so that an installation that was interrupted is none.
        shutil.copy(lock, installed)
    options = [f"--loader:.{font}=dataurl" for font in ("woff2", "woff", "ttf")]
    options += ["--bundle", "--minify", "--jsx=automatic", "--outfile=page.js", "--log-level=error"]
    options += ['--define:process.env.NODE_ENV="production"']
    subprocess.run(["node_modules/.bin/esbuild", "page.tsx", *options], cwd=PACKAGES, check=True)


def answered(file: Path, ask: Ask) -> dict[str, Any]:
    """Return a dashboard with the answer to each of its queries, as `result`."""
    dashboard: dict[str, Any] = json.loads(file.read_text("utf-8"))
    offered = {v["name"]: v.get("allValue") for v in dashboard["templating"]["list"]}
    known = {**BUILT_IN, **{name: value for name, value in offered.items() if value}}
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            expression = fill_in(target["expr"].strip(), known)
            target["result"] = ask(expression, target.get("instant", False))
    for mark in dashboard["annotations"]["list"]:
        mark["result"] = ask(mark["expr"], False)
    return dashboard


def record(prometheus: Prometheus, minutes: int) -> dict[str, Any]:
    """Return what Prometheus answers to all queries, by kind and expression, and for which time."""
    end = int(time.time()) // STEP * STEP
    times: dict[str, float] = {"start": end - minutes * 60, "end": end, "step": STEP}
    answers: dict[str, Any] = {}

    def ask(expression: str, instant: bool) -> list[dict[str, Any]]:
        path, words = ("query", {"time": end}) if instant else ("query_range", times)
        answers[f"{path} {expression}"] = prometheus.ask(path, query=expression, **words)["result"]
        return []

    for file in FILES:
        answered(file, ask)
    return {**times, "answers": answers}


def draw(recording: Mapping[str, Any], width: int) -> None:
    """Write a picture of each dashboard in each theme, and say what does not fit into a panel."""

    def replay(expression: str, instant: bool) -> list[dict[str, Any]]:
        path = "query" if instant else "query_range"
        return list(recording["answers"].get(f"{path} {expression}", []))

    def serve(route: Route) -> None:
        name = route.request.url.removeprefix(ORIGIN).replace(*ICONS) or "page.html"
        file = PACKAGES / name
        route.fulfill(path=file) if file.is_file() else route.fulfill(status=404, body=name)

    times = {name: recording[name] for name in ("start", "end", "step")}
    PICTURES.mkdir(parents=True, exist_ok=True)
    with opened([]) as browser:
        page = browser.new_page(viewport={"width": width, "height": 900}, locale="es-ES")
        page.route("**/*", serve)
        page.on("pageerror", lambda error: print(f"the page: {error}"))
        page.goto(ORIGIN)
        for file in FILES:
            dashboard = answered(file, replay)
            for theme in ("dark", "light"):
                found = page.evaluate("words => window.draw(...words)", [dashboard, times, theme])
                picture = PICTURES / f"{file.stem}-{theme}.png"
                page.locator("#root").screenshot(path=picture)
                print(picture.relative_to(REPOSITORY))
            print("".join(f"  {line}\n" for line in found), end="")


def main() -> None:
    """Ask Prometheus, or read what it answered before, and draw."""
    parser = argparse.ArgumentParser(prog="python -m tests.panels", description=__doc__)
    parser.add_argument(
        "address", help=f"http://HOST:9090 (its password: {PASSWORD}, or typed), or a --keep file"
    )
    parser.add_argument("--keep", type=Path, help="also write the answers to this file")
    parser.add_argument("--minutes", type=int, default=15, help="that graphs go back (%(default)s)")
    parser.add_argument("--width", type=int, default=1600, help="of the window (%(default)s)")
    given = parser.parse_args()
    if "://" in given.address:
        stack = REPOSITORY / "group_vars" / "all" / "stack.yml"
        user = yaml.safe_load(stack.read_text("utf-8"))["stack_monitoring_user"]
        password = os.environ.get(PASSWORD) or getpass.getpass(f"Password of {user}: ")
        prometheus = Prometheus(Client(given.address, TIMEOUT, user, password))
        recording = record(prometheus, given.minutes)
        if given.keep:
            given.keep.write_text(json.dumps(recording, ensure_ascii=False), encoding="utf-8")
    else:
        recording = json.loads(Path(given.address).read_text("utf-8"))
    bundle()
    draw(recording, given.width)


if __name__ == "__main__":
    try:
        main()
    except (HttpError, NoBrowserError) as error:
        raise SystemExit(str(error)) from None
