"""The module service as a whole: the order of user, program, files and process.

Its parts have tests of their own: test_releases, test_services, test_files.
"""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import os
import shlex
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.labstack.stack.plugins.module_utils import releases, services
from ansible_collections.labstack.stack.plugins.modules import service

from tests.unit.conftest import RunModule

SYSTEMCTL = Path(__file__).with_name("fake_systemctl.py")
JUDGE = shlex.join(
    ["/bin/sh", "-c", 'grep -q good "$1" || { echo "not good"; exit 1; }', "judge", "%s"]
)


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a directory without a word."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        pass


class Host:
    """A host: where its programs, files and units are, and what systemd was asked."""

    def __init__(self, directory: Path) -> None:
        self.programs = directory / "bin"
        self.etc = directory / "etc"
        self.systemd = directory / "systemd"
        self.upstream = directory / "upstream"
        for path in (self.programs, self.etc, self.systemd, self.upstream):
            path.mkdir()
        self.url = ""
        self.sha256 = ""

    @property
    def unit(self) -> Path:
        return self.etc / "tool.service"

    def serve(self, version: str) -> None:
        """Put a release of two programs upstream."""
        with tarfile.open(self.upstream / "tool.tar.gz", "w:gz") as archive:
            for name in ("tool", "toolctl"):
                content = f"#!/bin/sh\necho '{name}, version {version}'\n".encode()
                member = tarfile.TarInfo(f"tool-{version}/{name}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        content = (self.upstream / "tool.tar.gz").read_bytes()
        self.sha256 = hashlib.sha256(content).hexdigest()

    def calls(self) -> list[str]:
        """Return the verbs of systemctl since the last call, without `show`."""
        path = self.systemd / "calls"
        verbs = path.read_text().split() if path.exists() else []
        path.unlink(missing_ok=True)
        return [verb for verb in verbs if verb != "show"]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    host = Host(tmp_path)
    fakes = tmp_path / "fakes"
    fakes.mkdir()
    for name in ("systemctl", "journalctl", "busctl"):
        (fakes / name).write_text(f"#!{sys.executable} -IS\n{SYSTEMCTL.read_text()}")
        (fakes / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{fakes}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_SYSTEMD", str(host.systemd))
    (tmp_path / "run").mkdir()
    monkeypatch.setattr(services, "_STAMPS", tmp_path / "run" / "labstack")
    monkeypatch.setattr(services, "_DROP_INS", host.etc)
    monkeypatch.setattr(service, "_UNITS", host.etc)
    monkeypatch.setattr(releases, "_RETRY_PAUSES", ())
    loaded = {"LoadState": "loaded", "UnitFileState": "disabled", "FragmentPath": str(host.unit)}
    (host.systemd / "state.json").write_text(json.dumps({"on_daemon_reload": loaded}))
    handler = partial(Quiet, directory=str(host.upstream))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        host.url = f"http://127.0.0.1:{server.server_address[1]}/tool.tar.gz"
        host.serve("1.0.0")
        yield host
        server.shutdown()


Converge = Callable[..., dict[str, Any]]


@pytest.fixture
def converge(run_module: RunModule, host: Host) -> Converge:
    """Return converge(version, content, check=False, diff=False) -> the module's result."""

    def run(
        version: str = "1.0.0",
        content: str = "good 1",
        *,
        check: bool = False,
        diff: bool = False,
        sha256: str = "",
        **others: Any,
    ) -> dict[str, Any]:
        wanted = {
            "name": "tool",
            "release": {
                "version": version,
                "url": host.url,
                "sha256": sha256 or host.sha256,
                "tools": ["toolctl"],
                "directory": str(host.programs),
            },
            "files": [
                {
                    "dest": str(host.etc / "tool.yml"),
                    "secret_content": content,
                    "validate": JUDGE,
                },
            ],
            "unit": {"content": "[Service]\n"},
            "settle": 0,
            **others,
        }
        return run_module(service.main, wanted, check=check, diff=diff)

    return run


def test_a_blank_host_gets_programs_files_and_a_running_service(
    host: Host, converge: Converge
) -> None:
    result = converge()
    assert (result["changed"], result["action"]) == (True, "started")
    assert result["installed_version"] is None
    assert sorted(path.name for path in host.programs.iterdir()) == ["tool", "toolctl"]
    assert (host.etc / "tool.yml").read_text() == "good 1"
    assert "start" in host.calls()


def test_a_second_run_changes_nothing_and_needs_no_upstream(host: Host, converge: Converge) -> None:
    converge()
    (host.upstream / "tool.tar.gz").unlink()
    host.calls()
    result = converge()
    assert (result["changed"], result["action"]) == (False, "none")
    assert result["installed_version"] == "1.0.0"
    assert host.calls() == []


@pytest.mark.parametrize("what", ["version", "file"])
def test_another_version_or_file_restarts_the_service(
    what: str, host: Host, converge: Converge
) -> None:
    converge()
    host.calls()
    if what == "version":
        host.serve("1.1.0")
        result = converge("1.1.0")
        assert result["installed_version"] == "1.0.0"
    else:
        result = converge(content="good 2")
        assert result["changed_files"] == [str(host.etc / "tool.yml")]
    assert (result["changed"], result["action"]) == (True, "restarted")
    assert "restart" in host.calls()


def test_a_refused_file_leaves_the_service_as_it_runs(host: Host, converge: Converge) -> None:
    converge()
    host.calls()
    result = converge(content="bad")
    assert result["failed"]
    assert "nothing was replaced" in result["msg"]
    assert "not good" in result["msg"]
    assert (host.etc / "tool.yml").read_text() == "good 1"
    assert host.calls() == []


def test_a_wrong_checksum_writes_no_file(host: Host, converge: Converge) -> None:
    result = converge(sha256="0" * 64)
    assert result["failed"]
    assert "tool_checksums" in result["msg"]
    assert list(host.etc.iterdir()) == []
    assert list(host.programs.iterdir()) == []


def test_a_run_that_died_after_the_files_is_healed(host: Host, converge: Converge) -> None:
    converge()
    (host.etc / "tool.yml").write_text("good 2")
    host.calls()
    result = converge(content="good 2")
    assert (result["changed_files"], result["action"]) == ([], "restarted")
    assert "restart" in host.calls()


def test_check_mode_on_a_blank_host_tells_and_does_nothing(host: Host, converge: Converge) -> None:
    result = converge(check=True)
    assert (result["changed"], result["action"]) == (True, "started")
    assert result["unvalidated"] == [str(host.etc / "tool.yml")]
    assert result["warnings"] == []
    assert list(host.etc.iterdir()) == []
    assert list(host.programs.iterdir()) == []
    assert host.calls() == []


@pytest.mark.parametrize(("version", "content"), [("1.1.0", "good 1"), ("1.0.0", "good 2")])
def test_check_mode_foretells_the_restart(
    version: str, content: str, host: Host, converge: Converge
) -> None:
    converge()
    host.calls()
    result = converge(version, content, check=True)
    assert (result["changed"], result["action"]) == (True, "restarted")
    assert (host.etc / "tool.yml").read_text() == "good 1"
    assert host.calls() == []
    assert converge(check=True)["changed"] is False


@pytest.mark.parametrize(
    ("effect", "action"),
    [({}, "restarted"), ({"restart_on": []}, "none"), ({"reload": True}, "reloaded")],
)
def test_a_file_has_the_effect_that_is_asked_for(
    effect: dict[str, Any], action: str, host: Host, converge: Converge
) -> None:
    if effect.pop("reload", False):
        effect = {"reload_on": ["tool.yml"]}
    converge(**effect)
    host.calls()
    told = converge(content="good 2", check=True, **effect)
    assert told["action"] == action
    result = converge(content="good 2", **effect)
    assert (result["changed"], result["action"]) == (True, action)
    assert host.calls() == {"none": [], "reloaded": ["reload"]}.get(
        action, ["reset-failed", "restart"]
    )
    again = converge(content="good 2", **effect)
    assert (again["changed"], again["action"]) == (False, "none")


def test_another_unit_always_restarts(converge: Converge) -> None:
    unit = {"content": "[Service]\nNice=1\n"}
    converge(restart_on=[])
    told = converge(restart_on=[], unit=unit, check=True)
    assert (told["changed"], told["action"]) == (True, "restarted")
    assert converge(restart_on=[], unit=unit)["action"] == "restarted"


def test_the_program_of_a_package_needs_no_release(host: Host, converge: Converge) -> None:
    result = converge(release=None)
    assert (result["changed"], result["action"]) == (True, "started")
    assert "installed_version" not in result
    assert list(host.programs.iterdir()) == []
    assert converge(release=None)["changed"] is False


def test_a_former_file_is_removed(host: Host, converge: Converge) -> None:
    former = host.etc / "former.yml"
    former.write_text("x")
    gone = {"dest": str(former), "state": "absent"}
    assert converge(files=[gone])["changed_files"][-1] == str(former)
    assert not former.exists()


def test_the_diff_shows_the_version_and_hides_the_secret(host: Host, converge: Converge) -> None:
    converge()
    host.serve("1.1.0")
    result = converge("1.1.0", "good hunter2", diff=True)
    assert result["diff"][0] == {"before": "tool 1.0.0\n", "after": "tool 1.1.0\n"}
    assert "hunter2" not in json.dumps(result)


def test_a_name_that_is_no_file_of_the_task_is_refused(host: Host, converge: Converge) -> None:
    result = converge(restart_on=["tool.yaml"])
    assert "'tool.yaml' in restart_on or reload_on is no file" in result["msg"]
    assert str(host.etc / "tool.yml") in result["msg"]
    assert list(host.programs.iterdir()) == []


def test_the_validator_of_the_release_wins(
    host: Host, converge: Converge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "toolctl").write_text("#!/bin/sh\nexit 1\n")
    (other / "toolctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{other}:{os.environ['PATH']}")
    file = {"dest": str(host.etc / "tool.yml"), "content": "x", "validate": "toolctl check %s"}
    assert converge(files=[file])["changed_files"] == [str(host.etc / "tool.yml"), str(host.unit)]


@pytest.fixture
def useradd(tmp_path: Path) -> Path:
    """Put a useradd first on the host's path; return where it notes its arguments."""
    program = tmp_path / "fakes" / "useradd"
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/useradd\n')
    program.chmod(0o755)
    return tmp_path / "useradd"


def test_a_missing_user_is_made_with_a_group(host: Host, converge: Converge, useradd: Path) -> None:
    told = converge(user="labstack-nobody", home="/var/lib/tool", check=True, diff=True)
    assert told["diff"][0]["after"] == "user labstack-nobody\n"
    assert not useradd.exists()
    assert converge(user="labstack-nobody", home="/var/lib/tool")["changed"] is True
    asked = useradd.read_text().split()
    assert asked[-1] == "labstack-nobody"
    assert {"--system", "--user-group", "/var/lib/tool", "/usr/sbin/nologin"} <= set(asked)
    assert "start" in host.calls()


def test_a_group_that_a_killed_useradd_left_is_taken(converge: Converge, useradd: Path) -> None:
    # Every host has this group, and no user of its name.
    converge(user="shadow")
    assert "--gid shadow" in useradd.read_text()


def test_a_user_that_is_there_stays_as_it_is(converge: Converge, useradd: Path) -> None:
    converge(user="root")
    assert not useradd.exists()
    assert converge(user="root")["changed"] is False
