"""The module edge: Apache's files, tried before they are there; a reload only where it is due."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.labstack.stack.plugins.modules import edge

from tests.unit.conftest import RunModule
from tests.unit.modules.test_rollout import calls, engine

Run = Callable[..., dict[str, Any]]
__all__ = ["engine"]
STARTED = "2026-01-01T10:00:00.5Z"
# A moment before the web server was started, and one after it.
BEFORE, AFTER = 1767261600.0, 1767261601.0


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """What a release has."""
    folder = tmp_path / "release" / "edge"
    (folder / "htdocs").mkdir(parents=True)
    (folder / "httpd.conf").write_text("Listen 80\n")
    (folder / "slots.txt").write_text("webapp flask:5000\n")
    (folder / "htdocs" / "a.html").write_text("a\n")
    return folder


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "edge"


@pytest.fixture
def run(run_module: RunModule, engine: Path, source: Path, directory: Path) -> Run:
    """Run the module, with the release as its source."""
    assert engine

    def module(**options: Any) -> dict[str, Any]:
        check = options.pop("check", False)
        arguments = {"directory": str(directory), "source": str(source), "project_name": "shop"}
        return run_module(edge.main, {**arguments, **options}, check=check)

    return module


@pytest.fixture
def apache(engine: Path, directory: Path) -> None:
    """A web server that has the directory, and has run for a while."""
    labels = {"com.docker.compose.service": "apache"}
    facts = {
        "Id": "c1", "Name": "/shop-apache-1", "Created": STARTED,
        "Config": {"Labels": labels},
        "State": {"Running": True, "Status": "running", "StartedAt": STARTED},
        "Mounts": [{"Source": str(directory), "Destination": "/run/edge"}],
    }  # fmt: skip
    (engine / "containers.json").write_text(json.dumps({"c1": facts}))


def old(directory: Path) -> None:
    """Let everything be from before the start."""
    for path in (directory, *directory.rglob("*")):
        os.utime(path, (BEFORE, BEFORE))


def reloads(engine: Path) -> int:
    return calls(engine).count("kill --signal USR1 c1")


def test_without_a_web_server_the_files_are_there_when_it_starts(
    run: Run, engine: Path, directory: Path
) -> None:
    assert run(check=True)["changed"]
    assert not directory.exists()
    result = run()
    assert (result["changed"], result["reloaded"]) == (True, False)
    assert (directory / "httpd.conf").read_text() == "Listen 80\n"
    assert (directory / "slots.txt").read_text() == "webapp flask:5000\n"
    assert run()["changed"] is False
    assert reloads(engine) == 0


@pytest.mark.usefixtures("apache")
def test_a_changed_configuration_is_read_by_one_reload(
    run: Run, engine: Path, source: Path, directory: Path
) -> None:
    run()
    old(directory)
    (directory / "slots.txt").write_text("webapp another:5000\n")
    (directory / "apps").mkdir()
    (directory / "apps" / "shop.conf").write_text("# of another role\n")
    old(directory / "apps")
    begun = reloads(engine)
    (source / "httpd.conf").write_text("Listen 81\n")
    (source / "htdocs" / "a.html").unlink()
    would = run(check=True)
    assert (would["changed"], would["reloaded"]) == (True, True)
    assert (directory / "httpd.conf").read_text() == "Listen 80\n"
    result = run()
    assert set(result["written"]) == {"httpd.conf", "htdocs/a.html"}
    assert reloads(engine) == begun + 1
    assert run()["changed"] is False
    # What others write stays.
    assert (directory / "slots.txt").read_text() == "webapp another:5000\n"
    assert (directory / "apps" / "shop.conf").exists()


@pytest.mark.usefixtures("apache")
def test_what_it_cannot_read_changes_nothing(
    run: Run, engine: Path, source: Path, directory: Path
) -> None:
    run()
    begun = reloads(engine)
    (source / "httpd.conf").write_text("NoSuchDirective on\n")
    result = run()
    assert result["failed"]
    assert "Invalid command 'NoSuchDirective'" in result["msg"]
    assert (directory / "httpd.conf").read_text() == "Listen 80\n"
    assert reloads(engine) == begun
    assert not [path for path in directory.iterdir() if path.name.startswith(".labstack")]


@pytest.mark.usefixtures("apache")
def test_a_new_certificate_is_read_by_a_reload(
    run: Run, engine: Path, directory: Path, tmp_path: Path
) -> None:
    certificate = tmp_path / "cert.pem"
    certificate.write_text("x")
    run()
    old(directory)
    os.utime(certificate, (AFTER, AFTER))
    (directory / ".reloaded").unlink(missing_ok=True)
    begun = reloads(engine)
    result = run(watched=[str(certificate)])
    assert (result["changed"], result["written"], result["reloaded"]) == (True, [], True)
    assert reloads(engine) == begun + 1
    assert run(watched=[str(certificate)])["changed"] is False
    # Killed before it was told, the next run tells it.
    os.utime(certificate, (time.time() + 5, time.time() + 5))
    assert run(watched=[str(certificate)])["reloaded"]


@pytest.mark.usefixtures("apache")
def test_what_is_written_during_a_reload_is_read_by_the_next(
    run: Run, engine: Path, source: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run()
    old(directory)
    (directory / "apps").mkdir()
    old(directory)
    (source / "httpd.conf").write_text("Listen 81\n")
    begun = reloads(engine)
    tell = edge.reload

    def slow(*arguments: Any) -> None:
        tell(*arguments)
        (directory / "apps" / "shop.conf").write_text("# between the signal and its note\n")

    with monkeypatch.context() as patch:
        patch.setattr(edge, "reload", slow)
        assert run()["reloaded"]
    assert run()["reloaded"]
    assert reloads(engine) == begun + 2
    assert run()["changed"] is False


@pytest.mark.usefixtures("apache")
def test_no_rollout_runs_while_a_configuration_is_tried_and_read(
    run: Run, source: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run()
    old(directory)
    seen = []

    def watched(name: str, step: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any) -> None:
            descriptor = os.open(directory, os.O_RDONLY)
            try:
                with pytest.raises(BlockingIOError):
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            finally:
                os.close(descriptor)
            seen.append(name)
            step(*arguments)

        return wrapped

    for name in ("try_out", "settle"):
        monkeypatch.setattr(edge.Edge, name, watched(name, getattr(edge.Edge, name)))
    monkeypatch.setattr(edge, "reload", watched("reload", edge.reload))
    (source / "httpd.conf").write_text("Listen 81\n")
    assert run()["reloaded"]
    assert seen == ["try_out", "settle", "reload"]


@pytest.mark.usefixtures("apache")
def test_pages_need_no_reload(run: Run, engine: Path, source: Path, directory: Path) -> None:
    run()
    old(directory)
    begun = reloads(engine)
    (source / "htdocs" / "a.html").write_text("b\n")
    assert run()["written"] == ["htdocs/a.html"]
    assert reloads(engine) == begun


def test_a_release_without_a_configuration_is_refused(run: Run, source: Path) -> None:
    (source / "httpd.conf").unlink()
    assert "has no httpd.conf" in run()["msg"]
