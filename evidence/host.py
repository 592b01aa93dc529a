"""What the host says of itself: reads the output of the commands that the role has run there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

# Of systemd's scale of exposure (0 to 10): below it says "OK", from there on "MEDIUM" and worse.
EXPOSED = 5.0


def _lines(text: str) -> Iterator[list[str]]:
    return (line.split() for line in text.splitlines() if line.strip())


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """Yields what Docker prints with `--format json`: an object a line, or one list (Compose)."""
    for line in text.splitlines():
        if line.startswith("["):
            yield from json.loads(line)
        elif line.startswith("{"):
            yield json.loads(line)


def system(outputs: Mapping[str, str]) -> dict[str, str]:
    """Returns the host's system: name, kernel, architecture, state."""
    release = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', outputs.get("system", ""), re.MULTILINE))
    failed = [words[0] for words in _lines(outputs.get("failed", ""))]
    state = outputs.get("state", "").strip()
    kernel = (outputs.get("kernel", "").split() + [""] * 3)[:3]
    return {
        "system": release.get("PRETTY_NAME", ""),
        "kernel": " ".join(kernel[:2]).strip(),
        "architecture": kernel[2],
        # "degraded" alone does not say which.
        "state": f"{state}: {', '.join(failed)}" if failed else state,
        "clock": outputs.get("clock", "").strip(),
    }


def checksums(text: str) -> dict[str, str]:
    """Returns SHA-256 by path, from what sha256sum prints."""
    return {
        line[66:]: line[:64] for line in text.splitlines() if re.match(r"^[0-9a-f]{64} [ *]/", line)
    }


def versions(text: str) -> dict[str, str]:
    """Returns the versions by program, from the first line of each one's `--version`."""
    return dict(re.findall(r"^(\w+), version (\S+)", text, re.MULTILINE))


def packages(text: str) -> dict[str, str]:
    """Returns the installed versions by package, from dpkg-query."""
    return {
        words[0]: words[1] for words in _lines(text) if len(words) > 2 and words[2] == "installed"
    }


def containers(text: str) -> list[dict[str, str]]:
    """Returns the containers of a project, from `docker compose ps --all --format json`."""
    return [
        {
            "service": row["Service"],
            "name": row["Name"],
            "image": row["Image"],
            "state": row["State"],
            "health": row.get("Health", ""),
            "status": row.get("Status", ""),
            "ports": _published(row),
            # A container that has done its work and ended well is as good as one that runs.
            "holds": str(
                row.get("Health", "") in ("", "healthy")
                if row["State"] == "running"
                else row["State"] == "exited" and int(row.get("ExitCode", 1)) == 0
            ).lower(),
        }
        for row in sorted(_objects(text), key=lambda row: str(row["Service"]))
    ]


def _published(row: Mapping[str, Any]) -> str:
    found = {
        f"{port['URL'] or '*'}:{port['PublishedPort']}->{port['TargetPort']}"
        for port in row.get("Publishers") or []
        if port.get("PublishedPort")
    }
    return ", ".join(sorted(found))


def images(text: str) -> list[dict[str, str]]:
    """Returns the images of the host, from `docker image ls --no-trunc --digests --format json`."""
    return [
        {
            "image": f"{row['Repository']}:{row['Tag']}",
            "id": row["ID"],
            "digest": "" if row["Digest"] == "<none>" else row["Digest"],
        }
        for row in sorted(_objects(text), key=lambda row: (row["Repository"], row["Tag"]))
        if row["Repository"] != "<none>"
    ]


def exposures(text: str) -> dict[str, float]:
    """Returns each unit's exposure (0 safe, 10 open), from `systemd-analyze security`."""
    return {
        words[0]: float(words[1])
        for words in _lines(text)
        if len(words) > 2 and words[0].endswith(".service") and re.fullmatch(r"\d+\.\d", words[1])
    }


def units(shown: str, security: str) -> list[dict[str, Any]]:
    """Returns the units with their state and hardening, from `systemctl show` of several."""
    exposed = exposures(security)
    found = []
    for block in re.split(r"\n\s*\n", shown.strip()):
        said = dict(line.partition("=")[::2] for line in block.splitlines())
        if not said.get("Id") or said.get("LoadState") == "not-found":
            continue
        memory = said.get("MemoryMax", "")
        used = said.get("MemoryCurrent", "")
        found.append(
            {
                "unit": said["Id"],
                "state": said.get("ActiveState", ""),
                "enabled": said.get("UnitFileState", ""),
                "restarts": int(said.get("NRestarts") or 0),
                "type": said.get("Type", ""),
                "result": said.get("Result", ""),
                "user": said.get("User", "")
                or ("dynamic" if said.get("DynamicUser") == "yes" else "root"),
                "memory_limit": int(memory) if memory.isdigit() else None,
                "memory": int(used) if used.isdigit() else None,
                "protect_system": said.get("ProtectSystem", ""),
                "private_devices": said.get("PrivateDevices", "") == "yes",
                "no_new_privileges": said.get("NoNewPrivileges", "") == "yes",
                # "~" alone forbids no call.
                "system_calls": said.get("SystemCallFilter", "") not in ("", "~"),
                "exposure": exposed.get(said["Id"]),
                # A oneshot that a timer runs rests most of the time. "activating" is also said of a
                # service that has failed and is tried again.
                "holds": (
                    said.get("ActiveState") in ("active", "activating")
                    and said.get("SubState") != "auto-restart"
                )
                or (said.get("Type") == "oneshot" and said.get("Result") == "success"),
            }
        )
    return sorted(found, key=lambda unit: unit["unit"])


def private_files(text: str) -> list[dict[str, str]]:
    """Returns mode, owner and path of files, from lines with these three (GNU find's -printf)."""
    return [
        {"mode": words[0], "owner": words[1], "path": words[2]}
        for words in _lines(text)
        if len(words) == 3
    ]
