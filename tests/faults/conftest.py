"""One lab for all faults: blank at first, converged once the runs have been killed through."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    lab = Lab("faults")
    lab.down()
    lab.up()
    yield lab
    lab.down()
