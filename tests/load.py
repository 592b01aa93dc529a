"""Load and faults for the web application: many clients, slow ones, and what became of them.

Bounded, and for hosts of the testbed only.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import statistics
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.ask import ask

if TYPE_CHECKING:
    from collections.abc import Callable

CLIENTS = 256
SLOW = 200
PATHS = ("/healthz", "/products", "/api/products?per_page=10")
# Seconds. Apache gives Flask 30; whoever waits longer hangs.
PATIENCE = 40.0
# Seconds between two bytes of a slow client.
TRICKLE = 0.5
# A body that comes slowly: how it begins, and its first bytes; then CRUMB bytes come every TRICKLE
# seconds. FIRST is more than Apache reads ahead; of a body without a length that is refused.
FIRST, CRUMB = 17_000, 350
BODIES = {
    "length": (b"Content-Length: 60000\r\n\r\n", FIRST),
    "expect": (b"Expect: 100-continue\r\nContent-Length: 60000\r\n\r\n", FIRST),
    "chunked": (b"Transfer-Encoding: chunked\r\n\r\n", 1_000),
    "chunked, large": (b"Transfer-Encoding: chunked\r\n\r\n", FIRST),
}
SERVICES = ("apache", "flask-app", "mysql")


@dataclass
class Outcome:
    """What clients saw.

    Attributes:
        statuses: how often each HTTP status came; 0: nobody answered.
        seconds: how long each request took.
        cut: slow connections that the server ended.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    cut: int = 0

    @property
    def slowest(self) -> float:
        """The longest request, in seconds."""
        return max(self.seconds, default=0.0)

    def table(self) -> str:
        """The figures as a line of text."""
        many = " ".join(f"{status}: {n}" for status, n in sorted(self.statuses.items()))
        ordered = sorted(self.seconds) or [0.0]
        p50, p99 = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)]
        return (
            f"answers by status {many}; p50 {p50 * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} ms,"
            f" longest {ordered[-1] * 1e3:.0f} ms; {self.cut} slow connections cut"
        )


async def _request(address: str, path: str) -> int:
    """GET a path; the status, or 0."""
    writer = None
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(address, 80)
            head = f"GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
            writer.write(head.encode())
            answer = await reader.read()
            return int(answer.split(b" ", 2)[1])
    except (OSError, TimeoutError, IndexError, ValueError):
        return 0
    finally:
        if writer:
            writer.close()


async def _client(address: str, outcome: Outcome, until: float) -> None:
    while time.monotonic() < until:
        began = time.monotonic()
        outcome.statuses[await _request(address, random.choice(PATHS))] += 1  # noqa: S311 - no secret
        outcome.seconds.append(time.monotonic() - began)


async def _slow_client(address: str, outcome: Outcome, until: float) -> None:
    """Sends a request byte by byte that never ends; begins again when it is cut."""
    while time.monotonic() < until:
        writer = None
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(address, 80)
            writer.write(b"GET / HTTP/1.1\r\nX-Slow: ")
            while time.monotonic() < until and not reader.at_eof():
                writer.write(b"x")
                await writer.drain()
                # Whatever comes is the end: there was no request to answer.
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(1024), TRICKLE)
                    break
        outcome.cut += time.monotonic() < until
        if writer:
            writer.close()


async def _slow_body(address: str, kind: str, until: float) -> None:
    """Sends a form byte by byte that never ends; begins again when it is cut."""

    def part(size: int) -> bytes:
        return b"%x\r\n%s\r\n" % (size, b"x" * size) if "chunked" in kind else b"x" * size

    begin, first = BODIES[kind]
    head = f"POST /login HTTP/1.1\r\nHost: {address}\r\n".encode() + begin
    while time.monotonic() < until:
        writer = None
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(address, 80)
            writer.write(head + part(first))
            while time.monotonic() < until and not reader.at_eof():
                with contextlib.suppress(TimeoutError):
                    answer = await asyncio.wait_for(reader.read(1024), TRICKLE)
                    if not answer.startswith(b"HTTP/1.1 100 "):
                        break
                writer.write(part(CRUMB))
                await writer.drain()
        if writer:
            writer.close()
        # Slow in this, too: what is refused at once does not become a flood.
        await asyncio.sleep(TRICKLE)


async def _slow_bodies(address: str, seconds: float, kind: str, slow: int) -> Outcome:
    outcome = Outcome()
    until = time.monotonic() + seconds
    await asyncio.gather(
        *(_slow_body(address, kind, until) for _ in range(slow)),
        _client(address, outcome, until),
    )
    return outcome


def slow_bodies(address: str, seconds: float, kind: str, slow: int = 100) -> Outcome:
    """Sends forms that come slowly, while one client asks for pages.

    Args:
        address: of the host.
        seconds: after which no new request begins.
        kind: how a form begins: a key of BODIES.
        slow: how many forms at once.

    Returns:
        What the client saw.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, _slow_bodies(address, seconds, kind, slow)).result()


async def _storm(address: str, seconds: float, clients: int, slow: int) -> Outcome:
    outcome = Outcome()
    until = time.monotonic() + seconds
    await asyncio.gather(
        *(_slow_client(address, outcome, until) for _ in range(slow)),
        *(_client(address, outcome, until) for _ in range(clients)),
    )
    return outcome


def attack(address: str, seconds: float, clients: int = CLIENTS, slow: int = SLOW) -> Outcome:
    """Asks with many clients and many slow connections at the same time.

    Args:
        address: of the host.
        seconds: after which no new request begins.
        clients: that ask again as soon as they have an answer.
        slow: connections that send a byte every TRICKLE seconds.
    """
    # In a thread of its own: the one of the tests may have a browser's event loop already.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, _storm(address, seconds, clients, slow)).result()


def latency(address: str) -> float:
    """The median time of 15 requests one after the other, in seconds; PATIENCE when one fails."""
    seconds = []
    for _ in range(15):
        began = time.monotonic()
        if ask(f"http://{address}/api/products?per_page=1").status != 200:
            return PATIENCE
        seconds.append(time.monotonic() - began)
    return statistics.median(seconds)


def settled(address: str, normal: float, limit: float) -> float:
    """Wait until requests take no longer than normal; return how many seconds that took.

    Args:
        address: of the host.
        normal: seconds that a request took before. Five times as much is still normal, since
            other work on the machine changes it as much.
        limit: seconds.

    Raises:
        TimeoutError: they do not.
    """
    began = time.monotonic()
    while (now := latency(address)) > 5 * normal:
        if time.monotonic() - began > limit:
            raise TimeoutError(
                f"a request takes {now:.3f} s after {limit} s, before {normal:.3f} s"
            )
    return time.monotonic() - began


def states(run: Callable[[str], str]) -> dict[str, object]:
    """When each container was started, and whether and how often something ended it.

    Args:
        run: runs a shell command on the host as root and returns what it prints.
    """
    names = " ".join(f"webapp-{service}-1" for service in SERVICES)
    return {
        container["Name"]: (
            container["State"]["StartedAt"],
            container["State"]["Pid"],
            container["State"]["OOMKilled"],
            container["RestartCount"],
        )
        for container in json.loads(run(f"docker inspect {names}"))
    }
