"""A steady load on the web application while something happens to it, and what clients saw.

So many requests a second, GET and POST, some on connections that are kept and some not. Bounded,
and for hosts of the testbed only.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import time
import uuid
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

RATE = 200  # requests a second
# Of ten requests so many are a POST, and of ten clients so many keep their connection.
POSTS, KEPT = 3, 7
CLIENTS = 40
PATHS = ("/healthz", "/api/products?per_page=10", "/products?per_page=5")
# Seconds. Apache gives Flask 30.
PATIENCE = 35.0
# Names of the products that the load adds; whoever measures removes them.
NAME = "steady-load"


@dataclass
class Seen:
    """What the clients saw.

    Attributes:
        statuses: how often each HTTP status came; 0: nobody answered, whatever was tried.
        methods: the same by method: "GET 200".
        reused_closed: requests on a kept connection that the server closed before any byte of an
            answer, which were sent again on another, as browsers do. Such a POST carries a key, by
            which the application knows it.
        problems: what was wrong with those that failed, and how often.
        times: when each request was sent (seconds since the load began) and how long it took.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    methods: Counter[str] = field(default_factory=Counter)
    reused_closed: Counter[str] = field(default_factory=Counter)
    problems: Counter[str] = field(default_factory=Counter)
    times: list[tuple[float, float]] = field(default_factory=list)

    @property
    def requests(self) -> int:
        """How many were sent."""
        return sum(self.statuses.values())

    @property
    def failed(self) -> int:
        """How many were not answered as they should be: 200, and 201 for a POST."""
        return self.requests - self.statuses[200] - self.statuses[201]

    def p99(self, begin: float, end: float) -> float:
        """The time within which 99 of 100 answers came, of requests sent between two moments."""
        within = sorted(took for sent, took in self.times if begin <= sent < end)
        return within[int(len(within) * 0.99)] if within else 0.0


class _ClosedError(Exception):
    """A kept connection was closed before a byte of the answer."""


class _Client:
    """One client, with at most one connection."""

    def __init__(self, address: str, pair: str, kept: bool) -> None:
        self.address, self.pair, self.kept = address, pair, kept
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    def drop(self) -> None:
        if self.writer:
            self.writer.close()
        self.reader = self.writer = None

    async def send(self, text: bytes) -> int:
        """Send a request; return the status of its answer."""
        # As every client with a pool: a connection that is known to be closed is not used.
        fresh = self.writer is None or self.reader is None or self.reader.at_eof()
        if fresh:
            self.drop()
            self.reader, self.writer = await asyncio.open_connection(self.address, 80)
        assert self.reader
        assert self.writer
        try:
            self.writer.write(text)
            first = await self.reader.read(1)
        except OSError:
            first = b""
        if not first:
            self.drop()
            if fresh:
                raise OSError("a new connection was closed before a byte of the answer")
            raise _ClosedError
        head = first + await self.reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        fields = {n.lower(): v for n, _, v in (line.partition(": ") for line in lines[1:])}
        if "content-length" in fields:
            await self.reader.readexactly(int(fields["content-length"]))
        elif fields.get("transfer-encoding") == "chunked":
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                await self.reader.readexactly(size + 2)
            await self.reader.readexactly(2)
        if not self.kept or fields.get("connection", "").lower() == "close":
            self.drop()
        return int(lines[0].split()[1])

    def text(self, method: str, path: str) -> bytes:
        """Return a request."""
        body = b""
        head = [f"{method} {path} HTTP/1.1", f"Host: {self.address}"]
        if not self.kept:
            head.append("Connection: close")
        if method == "POST":
            product = {"name": NAME, "description": "", "price": "1.00", "stock": 1}
            body = json.dumps(product).encode()
            head += [
                f"Authorization: Basic {self.pair}",
                "Content-Type: application/json",
                f"Content-Length: {len(body)}",
                f"Idempotency-Key: {uuid.uuid4()}",
            ]
        return "\r\n".join([*head, "", ""]).encode() + body


async def _one(client: _Client, method: str, path: str, seen: Seen, began: float) -> None:
    sent = time.monotonic()
    text = client.text(method, path)
    try:
        async with asyncio.timeout(PATIENCE):
            try:
                status = await client.send(text)
            except _ClosedError:
                seen.reused_closed[method] += 1
                status = await client.send(text)
    except (OSError, TimeoutError, ValueError, IndexError, asyncio.IncompleteReadError) as error:
        client.drop()
        status = 0
        seen.problems[f"{method} {type(error).__name__}: {error}"[:120]] += 1
    if status not in (0, 200, 201):
        seen.problems[f"{method} {path} {status}"] += 1
    seen.statuses[status] += 1
    seen.methods[f"{method} {status}"] += 1
    seen.times.append((sent - began, time.monotonic() - sent))


async def _run(client: _Client, number: int, rate: float, seen: Seen, stop: list[bool]) -> None:
    began = time.monotonic()
    count = 0
    pause = CLIENTS / rate
    # Not all at once.
    due = began + pause * number / CLIENTS
    while not stop[0]:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        # Who was held up does not make up for it by a burst.
        due = max(due + pause, time.monotonic())
        method = "POST" if (number + count) % 10 < POSTS else "GET"
        path = "/api/products" if method == "POST" else PATHS[count % len(PATHS)]
        await _one(client, method, path, seen, began)
        count += 1
    client.drop()


async def _storm(address: str, password: str, rate: float, seen: Seen, stop: list[bool]) -> None:
    pair = base64.b64encode(f"admin:{password}".encode()).decode()
    clients = [_Client(address, pair, number % 10 < KEPT) for number in range(CLIENTS)]
    await asyncio.gather(
        *(_run(client, number, rate, seen, stop) for number, client in enumerate(clients))
    )


@contextlib.contextmanager
def load(address: str, password: str, rate: float = RATE) -> Iterator[Seen]:
    """Ask steadily while the block runs; what was seen is complete afterwards.

    Args:
        address: of the host.
        password: of the account admin, for the POSTs.
        rate: requests a second.

    Raises:
        AssertionError: there were no answers at all.
    """
    seen, stop = Seen(), [False]
    with ThreadPoolExecutor(1) as thread:
        running: Future[None] = thread.submit(
            asyncio.run, _storm(address, password, rate, seen, stop)
        )
        try:
            yield seen
        finally:
            stop[0] = True
            running.result()
    assert seen.requests, "no request was sent"
