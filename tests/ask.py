"""What the tests of a host need: ask over HTTP as a visitor does, wait for a condition."""

from __future__ import annotations

import base64
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

TIMEOUT = 10.0  # seconds
PAUSE = 0.2  # seconds between two looks


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; status 0: nobody answered.

    Attributes:
        status: the HTTP status.
        body: the content, or the reason why nobody answered.
    """

    status: int
    body: str

    def json(self) -> Any:
        """Return the content, read as JSON."""
        return json.loads(self.body)


def ask(url: str, user: str | None = None, password: str = "") -> Answer:
    """GET an address, with a name and a password where a name is given; never raises."""
    request = urllib.request.Request(url)  # noqa: S310 - http, and meant to be
    if user is not None:
        pair = base64.b64encode(f"{user}:{password}".encode()).decode()
        request.add_header("Authorization", f"Basic {pair}")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=TIMEOUT) as answer:
            return Answer(answer.status, answer.read().decode(errors="replace"))
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.read().decode(errors="replace"))
    except OSError as error:
        return Answer(0, str(error))


def wait_until(condition: Callable[[], object], limit: float) -> float:
    """Wait for a condition, at most ``limit`` seconds; return how many it took.

    Raises:
        TimeoutError: the condition did not come true.
    """
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > limit:
            raise TimeoutError(f"not within {limit} s")
        # Between two looks at something that sends no event; the limit is above.
        time.sleep(PAUSE)
    return time.monotonic() - began
