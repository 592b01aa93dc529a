"""What the testbed's commands do with the engine."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import tempfile
from pathlib import Path
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


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("mask", [0o022, 0o077])
@pytest.mark.parametrize("first", [0, 65534])
def test_the_lock_is_every_users(monkeypatch: pytest.MonkeyPatch, mask: int, first: int) -> None:
    """Whoever made the lock file, and whatever the umask was: others take it too."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o1777)
    monkeypatch.setattr(testbed, "LOCK", folder / "lock")
    for user in (first, 65534 - first):
        child = os.fork()
        if child == 0:
            try:
                os.umask(mask)
                os.setgroups([])
                os.setgid(user)
                os.setuid(user)
                with testbed._alone():
                    os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0, f"user {user}"
    shutil.rmtree(folder)


def test_the_lab_is_the_environments(stopped: mock.Mock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABSTACK_LAB", "mine")
    monkeypatch.setattr("testbed.__main__.mirror.REGISTRY_IMAGES", {})
    stopped.running.return_value = mock.Mock()
    for arguments, lab in (([], "mine"), (["--lab", "other"], "other")):
        monkeypatch.setattr("sys.argv", ["testbed", "down", "--keep", *arguments])
        assert testbed.main() == 0
        assert testbed.host.down.call_args.args[1] == lab  # type: ignore[attr-defined]


def test_another_users_engine_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    pid.write_text(f"{os.getpid()}\n")
    monkeypatch.setattr(engine, "PID_FILE", pid)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert not engine.stop()
    assert pid.exists()
