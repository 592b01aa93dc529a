from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.lab import ROOT, Lab

if TYPE_CHECKING:
    from collections.abc import Iterator

# The name of a lab that is up already, and stays: for whoever works on this.
KEPT = os.environ.get("APPLICATIONS_LAB", "")


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """A host with the whole stack, and the mirror with what foreign applications are built on."""
    lab = Lab(KEPT or "applications")
    if not KEPT:
        lab.down()
        # A second MySQL needs the swap that a t2.micro has and a machine of the testbed may lack.
        lab.up("--memory", "2g", "--swap", "3g")
        run = lab.play()
        assert run.status == 0, run.output[-6000:]
    subprocess.run([sys.executable, "-m", "testbed", "offer"], cwd=ROOT, check=True)
    yield lab
    if not KEPT:
        lab.down()
