"""Runs on the host, as root, with its own Python: containers' logs and the journal as one stream.

`./lab logs` sends this file over SSH; nothing of it stays there. The engine is asked through its
socket, because a `docker logs` for each container would take 30 MB of a small host's memory each.

Standard input is the line to whoever asked: where it ends, so does this program.
"""

from __future__ import annotations

import datetime
import heapq
import http.client
import json
import os
import queue
import re
import socket
import struct
import subprocess
import sys
import textwrap
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCKER = os.environ.get("LABSTACK_DOCKER_SOCKET", "/var/run/docker.sock")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
# What a terminal would take for a command to itself, and not for text.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")


class Line(NamedTuple):
    """One line of a log: seconds since 1970, who wrote it, and what."""

    time: float
    source: str
    text: str


class Container(NamedTuple):
    """A container: its identifier, its service's name, and all names that it goes by."""

    id: str
    service: str
    names: frozenset[str]


class WrongError(Exception):
    """What was asked for is not there; the message says what is."""


def seconds(since: str, now: float) -> float:
    """Returns the time that "90s", "30m", "1h", "2d", "1w" ago or "2026-11-30 20:15" (UTC) is.

    Raises:
        WrongError: it is neither.
    """
    ago = re.fullmatch(r"(\d+)\s*([smhdw])", since.strip())
    if ago:
        return now - int(ago[1]) * _UNITS[ago[2]]
    try:
        moment = datetime.datetime.fromisoformat(since.strip().replace("Z", "+00:00"))
    except ValueError as error:
        raise WrongError(
            f"--since {since}: neither a time nor how long ago: 30m, 1h, 2d, '2026-11-30 20:15'"
        ) from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.timezone.utc)).timestamp()


class _Engine(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(DOCKER)


def _ask(path: str) -> http.client.HTTPResponse:
    connection = _Engine("docker")
    connection.request("GET", path)
    answer = connection.getresponse()
    if answer.status >= 400:
        raise OSError(f"{path}: {answer.status} {answer.read(300).decode(errors='replace')}")
    return answer


def containers() -> list[Container]:
    """Returns the host's containers; none where no engine runs."""
    try:
        rows = json.load(_ask("/containers/json?all=1"))
    except OSError:
        return []
    found = []
    for row in rows:
        name = row["Names"][0].lstrip("/")
        service = row["Labels"].get("com.docker.compose.service", name)
        project = row["Labels"].get("com.docker.compose.project", name)
        found.append(Container(row["Id"], service, frozenset({name, service, project})))
    # Two of one service, as of two applications, are told apart by their containers' names.
    services = [container.service for container in found]
    return [
        one if services.count(one.service) == 1 else one._replace(service=max(one.names, key=len))
        for one in found
    ]


def _stamped(line: bytes, source: str, before: float) -> Line:
    stamp, _, text = line.decode(errors="replace").partition(" ")
    match = re.fullmatch(r"(.*?)(\.\d+)?Z", stamp)
    if not match:
        return Line(before, source, line.decode(errors="replace"))
    whole = datetime.datetime.fromisoformat(match[1] + "+00:00").timestamp()
    return Line(whole + float(match[2] or 0), source, text)


def _frame(answer: http.client.HTTPResponse) -> bytes:
    # Which of the two outputs it is, three empty bytes, the length, and as many bytes.
    head = answer.read(8)
    return answer.read(struct.unpack(">4xI", head)[0]) if head else b""


def of_container(container: Container, start: float, follow: bool) -> Iterator[Line]:
    """Yields a container's lines from a time on, and with `follow` those to come."""
    terminal = json.load(_ask(f"/containers/{container.id}/json"))["Config"]["Tty"]
    answer = _ask(
        f"/containers/{container.id}/logs?stdout=1&stderr=1&timestamps=1&since={start:.6f}"
        f"&follow={int(follow)}"
    )
    rest, before = b"", start
    # A line may take several parts.
    while part := answer.readline() if terminal else _frame(answer):
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            yield (found := _stamped(line, container.service, before))
            before = found.time
    if rest:
        yield _stamped(rest, container.service, before)


def of_units(units: list[str], start: float, follow: bool) -> Iterator[Line]:
    """Yields what the journal has of units from a time on, and with `follow` what is to come."""
    command = ["journalctl", "--quiet", "--no-pager", "--output=json", f"--since=@{int(start)}"]
    command += ["--output-fields=MESSAGE,_SYSTEMD_UNIT,UNIT"]
    command += [f"--unit={unit}" for unit in units]
    # As many as there are, where those to come are wanted too.
    command += ["--follow", "--no-tail"] if follow else []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as journal:
        try:
            for row in journal.stdout or ():
                yield from _entry(json.loads(row))
        finally:
            journal.terminate()


def _short(unit: str) -> str:
    return unit.removesuffix(".service")


def _entry(entry: dict[str, Any]) -> Iterator[Line]:
    message = entry.get("MESSAGE") or ""
    # What is no text is a list of bytes.
    text = bytes(message).decode(errors="replace") if isinstance(message, list) else message
    unit = entry.get("UNIT") or entry.get("_SYSTEMD_UNIT") or "journal"
    moment = int(entry["__REALTIME_TIMESTAMP"]) / 1e6
    for line in text.splitlines():
        yield Line(moment, _short(unit), line)


def choose(
    wanted: list[str], units: list[str], aliases: dict[str, str]
) -> tuple[list[Container], list[str]]:
    """Returns the containers and units that names stand for; all of the stack's for no name.

    Args:
        wanted: services, containers, Compose projects, units, or names of the table of services.
        units: the stack's units; * stands for anything.
        aliases: names of the table of services, with their unit or service.

    Raises:
        WrongError: a name stands for nothing here.
    """
    there = containers()
    if not wanted:
        return there, units
    chosen: list[Container] = []
    asked: list[str] = []
    for name in wanted:
        real = aliases.get(name, name)
        mine = [one for one in there if real in one.names or real == one.service]
        chosen += [one for one in mine if one not in chosen]
        unit = real if "." in real else f"{real}.service"
        if not mine:
            if not _exists(unit):
                known = {one.service for one in there} | {
                    _short(unit) for unit in units if "*" not in unit
                }
                names = textwrap.indent(textwrap.fill(" ".join(sorted(known)), 76), "  ")
                raise WrongError(
                    f"{name}: no container and no unit of this host has this name; there are\n"
                    f"{names}\n  and any unit of systemd (systemctl list-units)"
                )
            asked.append(unit)
    return chosen, asked


def _exists(unit: str) -> bool:
    """Whether systemd knows a unit, also one that has never run since the boot."""
    told = subprocess.run(
        ["systemctl", "show", "--property=LoadState", "--value", unit],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    return told.stdout.strip() not in ("", "not-found")


def shown(line: Line, width: int) -> str:
    """Returns a line as it is printed."""
    moment = datetime.datetime.fromtimestamp(line.time, datetime.timezone.utc)
    text = _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", line.text.rstrip("\r"))
    return f"{moment:%Y-%m-%d %H:%M:%S}  {line.source:<{width}}  {text}"


def _put(lines: Iterator[Line], into: queue.SimpleQueue[Line | None]) -> None:
    try:
        for line in lines:
            into.put(line)
    finally:
        into.put(None)


def following(sources: list[Iterator[Line]]) -> Iterator[Line]:
    """Yields the lines of sources as they come, until all have ended."""
    lines: queue.SimpleQueue[Line | None] = queue.SimpleQueue()
    for source in sources:
        threading.Thread(target=_put, args=(source, lines), daemon=True).start()
    open_ = len(sources)
    while open_:
        line = lines.get()
        if line is None:
            open_ -= 1
        else:
            yield line


def _end_with_input() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


def main(asked: dict[str, Any]) -> int:
    """Prints what was asked for; returns the exit status.

    Args:
        asked: `services`, `units`, `aliases` as `choose` takes them, `since` as `seconds` does,
            `grep` (a regular expression, or none), `lines` (the most to print of what there is, 0:
            all), `follow`.
    """
    now = time.time()
    try:
        start = seconds(asked["since"], now)
        chosen, units = choose(asked["services"], asked["units"], asked["aliases"])
        pattern = re.compile(asked["grep"] or "")
    except (WrongError, re.error) as error:
        wrong = f"--grep {asked['grep']}: {error}" if isinstance(error, re.error) else str(error)
        print(f"lab: {wrong}", file=sys.stderr)
        return 2
    width = max(map(len, [*(one.service for one in chosen), *map(_short, units)]), default=0)

    def sources(since: float, follow: bool) -> list[Iterator[Line]]:
        found = [of_container(one, since, follow) for one in chosen]
        return [*found, of_units(units, since, follow)] if units else found

    kept: deque[Line] = deque(maxlen=asked["lines"] or None)
    seen = 0
    for line in heapq.merge(*sources(start, follow=False)):
        if start <= line.time <= now and pattern.search(line.text):
            kept.append(line)
            seen += 1
    for line in kept:
        print(shown(line, width))
    if seen > len(kept):
        print(f"lab: the last {len(kept)} of {seen} lines; -n 0 shows all", file=sys.stderr)
    if not seen and not asked["follow"]:
        print(f"lab: nothing since {asked['since']}; further back: --since 1d", file=sys.stderr)
    sys.stdout.flush()
    if asked["follow"]:
        threading.Thread(target=_end_with_input, daemon=True).start()
        for line in following(sources(now, follow=True)):
            if line.time > now and pattern.search(line.text):
                print(shown(line, width), flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(json.loads(sys.argv[1])))
    except BrokenPipeError:
        # Whoever read has seen enough.
        os._exit(0)
