from __future__ import annotations

from typing import TYPE_CHECKING

import docker
import pytest

from testbed import upstream
from testbed.pebble import Pebble
from tests.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    lab = Lab("molecule-certificate")
    lab.down()
    lab.up()
    yield lab
    lab.down()


@pytest.fixture(scope="module")
def pebble(lab: Lab) -> Iterator[Pebble]:  # noqa: ARG001 - the host first, or pebble takes its address
    """An ACME server that knows nobody yet."""
    server = Pebble(docker.from_env(), "labstack-certificate-pebble", upstream.choose())
    yield server
    server.remove()
