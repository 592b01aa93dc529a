"""Puts together what was seen: the document that is written as JSON and shown as HTML."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.labstack.stack.plugins.module_utils.http import HttpError

from evidence import host as said
from evidence.outside import ports
from evidence.prometheus import Prometheus

SCHEMA = 1  # counts up when a key changes its meaning
BINARIES = "/usr/local/bin/"
GOARCH = {"x86_64": "amd64", "aarch64": "arm64"}


def last_run(folder: Path, host: str) -> dict[str, Any] | None:
    """Returns the newest record of a whole, real run of site.yml on a host; None without one.

    Args:
        folder: where the callback `progress` keeps them.
        host: its name in the inventory.
    """
    for path in sorted(folder.glob("*-site-*.json"), reverse=True):
        try:
            run = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if host in run["hosts"] and not run["check"] and not run["limits"]:
            counts = run["hosts"][host]
            return {
                "began": run["began"],
                "seconds": run["seconds"],
                **counts,
                "holds": not (counts["changed"] or counts["failed"] or counts["unreachable"]),
            }
    return None


def programs(
    pins: Mapping[str, Mapping[str, Any]],
    architecture: str,
    there: Mapping[str, str],
    files: Mapping[str, str],
) -> list[dict[str, Any]]:
    """Returns each pinned program: the version wanted, the one there, and the checksums.

    Args:
        pins: version, and SHA-256 of the release by architecture, by program.
        architecture: the host's, as `uname -m` says it.
        there: versions by program or package, as they say themselves.
        files: SHA-256 by path, as on the host.
    """
    found = []
    for name, pin in sorted(pins.items()):
        version = there.get(name, "")
        found.append(
            {
                "program": name,
                "wanted": str(pin["version"]),
                "version": version,
                "release_sha256": pin["checksums"].get(GOARCH.get(architecture, ""), ""),
                "path": BINARIES + name if BINARIES + name in files else "",
                "file_sha256": files.get(BINARIES + name, ""),
                # What follows a plus is the build, not the version (Debian's has one).
                "holds": version.partition("+")[0] == str(pin["version"]) if version else None,
            }
        )
    return found


def _state(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns how many rows hold, of how many that could be judged."""
    judged = [row for row in rows if row["holds"] is not None]
    good = sum(bool(row["holds"]) for row in judged)
    return {"good": good, "of": len(judged), "holds": good == len(judged) if judged else None}


def verdicts(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns the points of the summary, each with whether it holds (None: nobody has looked)."""
    run = document["run"]
    firing = [
        a["alert"] for a in document["alerts"] if a["state"] == "firing" and not a["expected"]
    ]
    quiet = len(document["alerts"]) - len(firing)
    containers = [{"holds": c["holds"] == "true"} for c in document["containers"]]
    targets = [{"holds": t["health"] == "up"} for t in document["targets"]]
    alerts = {
        "good": quiet,
        "of": len(document["alerts"]),
        "holds": not firing if document["alerts"] else None,
    }
    rerun = {
        "good": run["changed"] if run else 0,
        "of": run["ok"] if run else 0,
        "holds": run["holds"] if run else None,
    }
    return [
        {"point": "checks", **_state([{"holds": c["passed"]} for c in document["checks"]])},
        {"point": "run", **rerun},
        {"point": "programs", **_state(document["programs"])},
        {"point": "containers", **_state(containers)},
        {"point": "units", **_state(document["units"])},
        {"point": "ports", **_state(document["ports"])},
        {"point": "targets", **_state(targets)},
        {"point": "alerts", **alerts},
    ]


def build(given: Mapping[str, Any], prometheus: Prometheus | None) -> dict[str, Any]:
    """Returns the document.

    Args:
        given: what the role hands over (roles/report/vars/main.yml).
        prometheus: the host's; None where it has none.
    """
    outputs = {row["item"]["key"]: row.get("stdout", "") for row in given["commands"]}
    missing: list[str] = []
    seen: dict[str, Any] = {"targets": [], "alerts": [], "metrics": []}
    if prometheus:
        try:
            seen = {name: getattr(prometheus, name)() for name in seen}
        except HttpError as error:
            missing.append(f"Prometheus: {error}")
    system = said.system(outputs)
    installed = said.packages(outputs.get("packages", ""))
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "made": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "language": given["language"],
        "host": {"name": given["host"], "address": given["address"], **system},
        "checks": given["checks"],
        "run": last_run(Path(given["runs"]), given["host"]),
        "programs": programs(
            given["programs"],
            system["architecture"],
            {**installed, **said.versions(outputs.get("versions", ""))},
            said.checksums(outputs.get("checksums", "")),
        ),
        "packages": installed,
        "files": said.checksums(outputs.get("checksums", "")),
        "containers": said.containers(outputs.get("containers", "")),
        "images": said.images(outputs.get("images", "")),
        "base_images": dict(given["images"]),
        "targets": seen["targets"],
        "alerts": seen["alerts"],
        "metrics": seen["metrics"],
        "ports": ports(given["address"], given["servers"], outputs.get("sockets", "")),
        "units": said.units(outputs.get("units", ""), outputs.get("security", "")),
        "private_files": said.private_files(outputs.get("secrets", "")),
        "commands": [
            {
                "name": row["item"]["key"],
                "command": " ".join(row["cmd"]) if isinstance(row["cmd"], list) else row["cmd"],
                "status": row["rc"],
                "output": row.get("stdout", "") or row.get("stderr", "") or row.get("msg", ""),
            }
            for row in given["commands"]
        ],
        "pictures": [],
        "stand_ins": [],
        "missing": missing,
    }
    document["summary"] = verdicts(document)
    return document
