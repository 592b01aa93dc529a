"""`python -m evidence`: reads what the role `report` hands over, and writes the report."""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.labstack.stack.plugins.module_utils.http import (
    Client,
    any_certificate,
    url_host,
)

from evidence import guard, page, pictures, plots
from evidence.document import build
from evidence.prometheus import Prometheus

REQUEST_TIMEOUT = 10.0  # seconds


def _prometheus(given: Mapping[str, Any]) -> Prometheus | None:
    server = given["servers"].get("prometheus", {})
    if not server or not server.get("present", True):
        return None
    base = f"{server.get('scheme', 'http')}://{url_host(given['address'])}:{server['port']}"
    return Prometheus(
        Client(base, REQUEST_TIMEOUT, server["user"], server["password"], any_certificate)
    )


def _commit() -> str:
    """Returns the checkout's commit; empty where this is none, or git is not there."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--tags"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip()


def _draw(document: dict[str, Any], words: Mapping[str, Any]) -> dict[str, str]:
    """Returns the plots by metric; what keeps them from being drawn is noted in the document."""
    found = {}
    for metric in document["metrics"]:
        if not metric["points"]:
            continue
        labels = {"limit": page.limit_of(metric, words), "time": words["time_axis"]}
        try:
            found[metric["name"]] = plots.draw(metric, labels)
        except ImportError as error:
            document["missing"].append(words["no_plot"].format(why=f"{error}: ./lab report"))
            break
    return found


def _photograph(
    browser: Any, document: dict[str, Any], given: Mapping[str, Any]
) -> list[pictures.Picture]:
    """Takes the pictures; what keeps one from being taken is noted in the document."""
    camera = pictures.Camera(browser, given["address"], given["servers"], given["language"])
    taken: list[pictures.Picture] = []
    for take in camera.take(document["stand_ins"]):
        try:
            # One by one, so that those before a failure stay.
            for picture in take():
                taken.append(picture)
        except Exception as error:
            # A page of another make is no reason to have no report.
            reason = str(error).strip().splitlines()[0]
            document["missing"].append(f"{take.__name__}: {reason}")
    return taken


def _note(
    document: dict[str, Any], taken: list[pictures.Picture], words: Mapping[str, Any]
) -> None:
    """Lists the pictures in the document."""
    for picture in taken:
        across, down = struct.unpack(">II", picture.png[16:24])
        document["pictures"].append(
            {
                "name": picture.name,
                "file": f"pictures/{picture.name}.png",
                "kind": picture.kind,
                "title": picture.title,
                "width": picture.width,
                "height": round(down * picture.width / across),
            }
        )
    page.captions(document["pictures"], words)


def _sums(folder: Path) -> str:
    """Returns the manifest, as sha256sum prints it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}\n"
        for path in files
    )


def _write(
    folder: Path,
    document: dict[str, Any],
    drawn: Mapping[str, str],
    taken: list[pictures.Picture],
) -> None:
    """Writes all but the PDF and the manifest."""
    (folder / "pictures").mkdir(parents=True)
    for picture in taken:
        (folder / "pictures" / f"{picture.name}.png").write_bytes(picture.png)
    for name, svg in drawn.items():
        text = plots.standalone(svg)
        (folder / "pictures" / f"plot-{name}.svg").write_text(text, encoding="utf-8")
    text = json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True)
    (folder / "report.json").write_text(text + "\n", encoding="utf-8")
    html = page.render(
        document,
        {name: plots.inline(svg) for name, svg in drawn.items()},
        {picture.name: picture.png for picture in taken},
    )
    (folder / "report.html").write_text(html, encoding="utf-8")


def make(given: Mapping[str, Any]) -> str:
    """Writes the report, and returns what there is to say about it.

    Args:
        given: what the role hands over (roles/report/vars/main.yml).

    Raises:
        SecretFoundError: a file would have a secret in it; nothing is left behind then.
    """
    target = Path(given["directory"])
    words = page.texts(given["language"])
    document = build(given, _prometheus(given))
    document["commit"] = _commit()
    document["stand_ins"] = pictures.stand_ins(given["address"], given["servers"])
    drawn = _draw(document, words)
    # Beside the old one, which stays until this one is whole.
    beside = target.with_name(f".{target.name}.new")
    shutil.rmtree(beside, ignore_errors=True)
    certificates = {str(s.get("certificate") or "") for s in given["servers"].values()} - {""}
    try:
        try:
            with pictures.opened(sorted(certificates)) as browser:
                taken = _photograph(browser, document, given)
                _note(document, taken, words)
                _write(beside, document, drawn, taken)
                footer = words["footer"].format(
                    host=document["host"]["name"], made=page.Formats.when(document["made"])
                )
                pictures.print_pdf(browser, beside / "report.html", beside / "report.pdf", footer)
        except (pictures.NoBrowserError, FileNotFoundError) as error:
            document["missing"].append(str(error))
            shutil.rmtree(beside, ignore_errors=True)
            _write(beside, document, drawn, [])
        guard.check(beside, given["secrets"])
        (beside / "sha256sums.txt").write_text(_sums(beside), encoding="utf-8")
        shutil.rmtree(target, ignore_errors=True)
        beside.rename(target)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return _told(target, document)


def _told(target: Path, document: Mapping[str, Any]) -> str:
    """Returns what a person reads at the end of the run."""
    words = page.texts(document["language"])
    lines = [f"{document['host']['name']}: {words['title']}"]
    for point in document["summary"]:
        kind = {True: "good", False: "bad", None: "open"}[point["holds"]]
        told = words["points"][point["point"]].format(good=point["good"], of=point["of"])
        lines.append(f"  {words['marks'][kind]}: {told}")
    lines += [f"  {words['subheadings']['missing']}: {why}" for why in document["missing"]]
    lines += [f"  {target / name}" for name in ("report.html", "report.pdf", "report.json")]
    return "\n".join(line for line in lines if not line.endswith(".pdf") or Path(line[2:]).exists())


def main() -> int:
    """Runs the command line; returns the exit status."""
    given = json.load(sys.stdin)
    try:
        print(make(given))
    except guard.SecretFoundError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"The report cannot be written: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
