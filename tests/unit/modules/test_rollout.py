"""The module rollout: which container serves at every moment, and what is told when none can."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.labstack.stack.plugins.modules import rollout

from tests.unit.conftest import RunModule

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for docker, with a project of one service and no container."""
    directory = tmp_path / "engine"
    directory.mkdir()
    commands = tmp_path / "bin"
    commands.mkdir()
    fake = Path(__file__).with_name("fake_engine.py")
    docker = commands / "docker"
    docker.write_text(f'#!/bin/sh\nexec python3 "{fake}" "$@"\n')
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}:/usr/bin:/bin")
    monkeypatch.setenv("FAKE_ENGINE", str(directory))
    (directory / "containers.json").write_text("{}")
    (directory / "becomes").write_text("healthy")
    project(directory)
    return directory


def project(engine: Path, version: str = "1", **service: Any) -> None:
    """Let the project's files be of a version."""
    services = {"web": {"mem_limit": "1048576", **service}}
    (engine / "config.json").write_text(json.dumps({"services": services, "x-hash": version}))


def containers(engine: Path) -> dict[str, tuple[str, bool]]:
    """The hash and whether it runs, of each container by its name."""
    return {
        facts["Name"].lstrip("/"): (
            facts["Config"]["Labels"]["com.docker.compose.config-hash"],
            facts["State"]["Running"],
        )
        for facts in json.loads((engine / "containers.json").read_text()).values()
    }


def calls(engine: Path) -> str:
    return (engine / "calls").read_text()


@pytest.fixture
def slots(tmp_path: Path) -> Path:
    return tmp_path / "edge" / "slots.txt"


@pytest.fixture
def run(
    run_module: RunModule,
    engine: Path,
    slots: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """Run the module for the project shop."""
    assert engine
    monkeypatch.setattr(time, "sleep", lambda _: None)

    def module(**options: Any) -> dict[str, Any]:
        check = options.pop("check", False)
        arguments = {
            "project_name": "shop", "project_src": str(tmp_path), "service": "web", "port": 8000,
            "application": "shop", "map": str(slots), "drain": 2, "start_timeout": 5, **options,
        }  # fmt: skip
        return run_module(rollout.main, arguments, check=check)

    return module


def test_the_first_one_is_started_and_named_by_its_alias(
    run: Run, engine: Path, slots: Path
) -> None:
    would = run(check=True)
    assert (would["changed"], would["mode"]) == (True, "start")
    assert containers(engine) == {}
    result = run()
    assert result["mode"] == "start"
    assert containers(engine) == {"shop-web-1": ("1", True)}
    assert slots.read_text() == "shop shop-web:8000\n"
    again = run()
    assert (again["changed"], again["mode"]) == (False, "none")


def test_a_new_version_takes_the_place_of_the_old_one(run: Run, engine: Path, slots: Path) -> None:
    run()
    slots.write_text("# a comment\nother other:1\n" + slots.read_text())
    project(engine, "2")
    assert run(check=True)["mode"] == "beside"
    result = run()
    assert result["mode"] == "beside"
    # By the name that people know.
    assert containers(engine) == {"shop-web-1": ("2", True)}
    assert slots.read_text() == "# a comment\nother other:1\nshop shop-web:8000\n"
    # The old one is stopped when the new one is named, and never before.
    order = calls(engine).splitlines()
    assert order.index("start c2") < order.index("stop c1")
    assert run()["changed"] is False


@pytest.mark.parametrize("becomes", ["unhealthy", "exited"])
def test_one_that_is_not_well_leaves_the_old_one(
    run: Run, engine: Path, slots: Path, becomes: str
) -> None:
    run()
    project(engine, "2")
    (engine / "becomes").write_text(becomes)
    result = run()
    assert result["failed"]
    assert containers(engine) == {"shop-web-1": ("1", True)}
    assert slots.read_text() == "shop shop-web:8000\n"
    assert "stop c1" not in calls(engine)
    assert "The container before, shop-web-1, serves on." in result["msg"]
    assert "the last line" in result["msg"]
    assert "no database" in result["state"]
    if becomes == "exited":
        assert "memory limit of 64 MiB (OOM); exit code 137" in result["state"]


class Edge(http.server.BaseHTTPRequestHandler):
    """A web server in front that answers 200 on /ok alone."""

    def do_GET(self) -> None:
        """Answer."""
        status = 200 if self.path == "/ok" else 500
        self.send_response(status)
        self.end_headers()
        self.wfile.write(b"welcome")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def edge() -> Iterator[str]:
    """The address of a web server, which is the containers' own."""
    server = http.server.ThreadingHTTPServer(("127.0.0.9", 0), Edge)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.9:{server.server_port}"
    server.shutdown()


def test_one_that_fails_its_checks_after_the_switch_gives_way(
    run: Run, engine: Path, slots: Path, edge: str
) -> None:
    run()
    project(engine, "2")
    good = {"path": "/ok", "contains": "welcome"}
    result = run(verify=[good, {"path": "/broken"}], verify_url=edge)
    assert result["failed"]
    assert "fails its checks: /broken was answered with 500 instead of 200" in result["msg"]
    assert containers(engine) == {"shop-web-1": ("1", True)}
    assert slots.read_text() == "shop shop-web:8000\n"
    # Asked itself, it answers nothing: it is never named.
    result = run(verify=[good], verify_url=edge, verify_first=True)
    assert "was not answered by http://127.0.0.9:8000" in result["msg"]
    assert slots.read_text() == "shop shop-web:8000\n"
    result = run(verify=[good], verify_url=edge)
    assert result["mode"] == "beside"


def test_one_whose_page_fails_is_told_with_the_answer(run: Run, engine: Path, edge: str) -> None:
    (engine / "becomes").write_text("none")
    port = int(edge.rpartition(":")[2])
    result = run(port=port, health="/broken", start_timeout=1)
    assert "is not healthy after 1 s: /broken was answered with 500: 'welcome'" in result["msg"]
    assert "failed" not in run(port=port, health="/ok")
    project(engine, "2")
    assert "/ok was not answered by http" in run(port=1, health="/ok", start_timeout=1)["msg"]
    assert "nothing listens at http" in run(port=1, start_timeout=1)["msg"]


@pytest.mark.parametrize(
    ("service", "options", "word"),
    [
        ({}, {"memory_needed": 10**9}, "memory is short"),
        ({"ports": [{"target": 8000, "published": "8000"}]}, {}, "publishes port 8000"),
    ],
)
def test_where_two_do_not_fit_the_old_one_is_stopped_first_and_it_is_said_before(
    run: Run, engine: Path, service: dict[str, Any], options: dict[str, Any], word: str
) -> None:
    run()
    project(engine, "2", **service)
    would = run(check=True, **options)
    assert would["mode"] == "stopped_first"
    assert word in would["reason"]
    run(**options)
    order = calls(engine).splitlines()
    assert order.index("stop c1") < order.index("start c2")
    assert containers(engine) == {"shop-web-1": ("2", True)}


def test_stopped_first_the_old_one_comes_back_when_the_new_one_fails(
    run: Run, engine: Path, slots: Path
) -> None:
    run()
    project(engine, "2")
    (engine / "becomes-c2").write_text("unhealthy")
    result = run(memory_needed=10**9)
    assert result["failed"]
    order = calls(engine).splitlines()
    assert order.index("stop c1") < order.index("start c1")
    assert slots.read_text() == "shop shop-web:8000\n"


@pytest.mark.parametrize("named", ["shop-web-1", "shop-web-2"])
def test_of_two_that_a_killed_run_left_the_map_says_which_serves(
    run: Run, engine: Path, slots: Path, named: str
) -> None:
    run()
    first = json.loads((engine / "containers.json").read_text())
    second = json.loads(json.dumps(first).replace("shop-web-1", "shop-web-2").replace("c1", "c2"))
    (engine / "containers.json").write_text(json.dumps(first | second))
    slots.write_text(f"shop {named}:8000\n")
    would = run(check=True)
    assert (would["mode"], would["container"]) == ("tidy", named)
    assert run()["changed"]
    left = json.loads((engine / "containers.json").read_text())
    assert list(left) == [{"shop-web-1": "c1", "shop-web-2": "c2"}[named]]
    assert containers(engine) == {"shop-web-1": ("1", True)}
    assert slots.read_text() == "shop shop-web:8000\n"
    assert run()["changed"] is False


def test_an_unknown_service_is_told_with_those_that_there_are(run: Run) -> None:
    result = run(service="app")
    assert result["failed"]
    assert "no service 'app'; it has: web" in result["msg"]
