"""What the testbed's commands do with the engine."""

from __future__ import annotations

import argparse
import contextlib
from unittest import mock

import pytest

from testbed import __main__ as testbed
from testbed import engine, host, images, mirror


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> mock.Mock:
    """An engine that is installed and does not run, on which there is no lab."""
    stand_ins = {
        module.__name__.rpartition(".")[2]: mock.Mock(spec=module)
        for module in (engine, host, images, mirror)
    }
    for name, stand_in in stand_ins.items():
        monkeypatch.setattr(testbed, name, stand_in)
    monkeypatch.setattr(testbed, "_alone", contextlib.nullcontext)
    stand_ins["host"].down.return_value = []
    stand_ins["host"].find.return_value = []
    stand_ins["engine"].running.return_value = None
    stand_ins["engine"].installed.return_value = True
    return stand_ins["engine"]


def down(*, purge: bool) -> None:
    testbed._down(argparse.Namespace(all=True, lab="lab", keep=False, purge=purge))


def test_down_starts_no_engine(stopped: mock.Mock) -> None:
    down(purge=False)
    stopped.ensure.assert_not_called()


def test_purge_starts_the_engine_that_keeps_the_images(stopped: mock.Mock) -> None:
    down(purge=True)
    stopped.ensure.assert_called_once_with()
    stopped.stop.assert_called_once_with()


def test_purge_installs_no_engine(stopped: mock.Mock) -> None:
    stopped.installed.return_value = False
    down(purge=True)
    stopped.ensure.assert_not_called()
