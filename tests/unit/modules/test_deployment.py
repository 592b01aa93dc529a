"""The module deployment: one at a time, whoever is killed, and a log of all."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.labstack.stack.plugins.module_utils import kept_releases
from ansible_collections.labstack.stack.plugins.modules import deployment

from tests.ask import wait_until
from tests.unit.conftest import ROOT, RunModule

Run = Callable[..., dict[str, Any]]
OLD, NEW = "0123456789ab", "ba9876543210"


def serve(root: Path, name: str, at: int) -> None:
    """Note that a release began to serve at a time (seconds since the epoch)."""
    kept_releases.mark(root, name)
    os.utime(root / kept_releases.SERVED / name, (at, at))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two releases, of which the new one serves."""
    for number, name in enumerate((OLD, NEW)):
        release = tmp_path / "releases" / name
        release.mkdir(parents=True)
        serve(tmp_path, name, number + 1)
    (tmp_path / "current").symlink_to(f"releases/{NEW}")
    return tmp_path


def holder(root: Path) -> int:
    """The process that has the lock; 0 where nobody has."""
    text = (root / deployment.LOCK).read_text() if (root / deployment.LOCK).exists() else ""
    return int(json.loads(text)["process"]) if text else 0


@pytest.fixture
def run(run_module: RunModule, root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Run the module; nobody holds the lock afterwards."""

    # The test's own process would fork; a program that sleeps holds the file in its place.
    def hold(descriptor: int, entry: dict[str, Any], longest: float) -> None:
        assert longest
        os.set_inheritable(descriptor, True)
        child = os.spawnvp(os.P_NOWAIT, "sleep", ["sleep", "60"])  # noqa: S606 - no shell, on purpose
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({**entry, "process": child}).encode(), 0)
        os.close(descriptor)

    monkeypatch.setattr(deployment, "hold", hold)

    def module(state: str, **options: Any) -> dict[str, Any]:
        return run_module(deployment.main, {"state": state, "root": str(root), **options})

    yield module
    module("done")


def test_the_second_one_is_told_who_has_the_lock(run: Run, root: Path) -> None:
    first = run("begun", who="ana@laptop", version="v1", run="laptop:123")
    assert (first["held"], first["holder"]) == (True, "")
    second = run("begun", who="berta@desk", wait=0)
    assert (second["held"], second["holder_run"]) == (False, "laptop:123")
    assert second["holder"].startswith("ana@laptop since 20")
    assert second["holder"].endswith("(v1)")
    late = run("begun", who="berta@desk", wait=1)
    assert late["failed"]
    assert "ana@laptop" in late["msg"]
    assert f"sudo rm {root}/deploying.json" in late["msg"]
    run("done")
    assert run("begun", who="berta@desk", wait=0)["held"]


def test_the_lock_of_one_that_was_killed_is_free(run: Run, root: Path) -> None:
    run("begun", who="ana@laptop")
    os.kill(holder(root), 9)
    os.waitpid(holder(root), 0)
    assert run("begun", who="berta@desk", wait=5)["held"]


def test_who_deployed_what_and_how_it_went_is_noted(run: Run, root: Path) -> None:
    run("begun", who="ana@laptop", version="v1")
    assert run("done")["changed"] is False
    run("begun", who="berta@desk", version="v0")
    (root / "current").unlink()
    (root / "current").symlink_to(f"releases/{OLD}")
    assert run("done")["changed"] is True
    run("begun", who="carla@train")
    run("done", result="failed")
    # Cut short by a power cut.
    with (root / deployment.LOG).open("a") as log:
        log.write('{"time": "20')
    shown = run("listed")
    lines = shown["table"].splitlines()
    assert lines[1].split()[2:5] == ["ana@laptop", NEW, "v1"]
    assert lines[2].split()[2:5] == ["berta@desk", OLD, "v0"]
    assert [line.split()[-1] for line in lines[1:4]] == ["served", "served", "failed"]
    assert f"serves now: {OLD}" in shown["table"]
    # The release that served before.
    assert shown["previous"] == NEW
    run("begun", who="dora@home")
    run("done")
    assert "dora@home" in run("listed")["table"]


def test_before_the_first_line_the_release_used_before_is_the_previous_one(run: Run) -> None:
    shown = run("listed")
    assert shown["previous"] == OLD
    assert "Nothing was deployed" in shown["table"]


def test_a_release_that_is_gone_is_nothing_to_go_back_to(run: Run, root: Path) -> None:
    run("begun", who="ana@laptop")
    run("done")
    (root / "releases" / OLD).rmdir()
    assert run("listed")["previous"] == ""


def test_what_site_yml_brought_after_the_last_line_can_come_back(run: Run, root: Path) -> None:
    """The log has one line, of the deployment before two runs of site.yml."""
    run("begun", who="ana@laptop")
    run("done")
    for number, name in enumerate(("0123456789cc", "0123456789dd")):
        (root / "releases" / name).mkdir()
        serve(root, name, 10 + number)
    (root / "current").unlink()
    (root / "current").symlink_to("releases/0123456789dd")
    shown = run("listed")
    assert shown["previous"] == "0123456789cc"
    assert shown["kept"] == ["0123456789dd", "0123456789cc", NEW, OLD]


def test_what_can_be_gone_back_to_is_told_with_what_to_type(run: Run, root: Path) -> None:
    never_served = root / "releases" / "0000000000ff"
    never_served.mkdir()
    # As the override of an application is, which is there before it serves.
    (never_served / "compose.labstack.yaml").write_text("")
    shown = run("listed", application="shop")
    assert shown["kept"] == [NEW, OLD]
    assert f"{OLD}   (./lab rollback --app shop RELEASE)" in shown["table"]
    assert "(./lab rollback --app shop)" in shown["table"]
    assert f"{OLD}   (./lab rollback RELEASE)" in run("listed")["table"]


def test_where_nothing_was_deployed_there_is_nothing(run_module: RunModule, tmp_path: Path) -> None:
    shown = run_module(deployment.main, {"state": "listed", "root": str(tmp_path / "none")})
    assert (shown["kept"], shown["previous"], shown["current"]) == ([], "", "")


def test_the_holder_ends_with_the_connection(root: Path) -> None:
    """The real one, in a process of its own: what it watches is away, so it gives the lock back."""
    import subprocess  # noqa: PLC0415 - for this test alone
    import sys  # noqa: PLC0415

    code = (
        "import os\n"
        "from ansible_collections.labstack.stack.plugins.modules import deployment as d\n"
        "d.session = lambda: 2**22 + 1\n"
        f"print(d.Deployments(__import__('pathlib').Path({str(root)!r})).take("
        "{'who': 'ana', 'time': 'now'}, 0, 60))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "collections")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "(True, '')\n"
    wait_until(lambda: not Path(f"/proc/{holder(root)}").exists(), 30)
