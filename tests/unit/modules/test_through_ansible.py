"""The modules in one play, as Ansible runs them: packed, on the interpreter of a host.

The play runs in check mode on a blank host, for real, for real again, and in check mode again.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.conftest import ROOT

PROGRAM = b"#!/bin/sh\necho 'tool, version 1.2.3'\n"
# Beside the play; a.conf.j2 extends one of its own and imports one of the collection.
SOURCES = {
    "templates/base.j2": "# base\n{% block body %}\n{% endblock %}\n",
    "templates/a.conf.j2": (
        "{% extends 'base.j2' %}\n{% from 'systemd.j2' import argument %}\n"
        "{% block body %}\na={{ argument('5%') }}\n{% endblock %}\n"
    ),
    "templates/s.j2": "line: 1\npassword: {{ result.secrets.password }}\n",
    "files/parts/one": "A {{ braces }} stay\n",
    "files/parts/two": "2\n",
}


def interpreters() -> list[str]:
    """Return the interpreters of this machine whose versions a host may have, one of each."""
    found = {sys.version_info[:2]: sys.executable}
    for candidate in ("/usr/bin/python3", *(f"python3.{minor}" for minor in range(10, 15))):
        path = shutil.which(candidate)
        if not path:
            continue
        code = "import sys; print(*sys.version_info[:2])"
        answer = subprocess.run([path, "-c", code], capture_output=True, text=True, check=False)
        # A pyenv shim may be there for a version that is not.
        if answer.returncode == 0:
            major, minor = map(int, answer.stdout.split())
            found.setdefault((major, minor), path)
    return [path for version, path in sorted(found.items()) if version >= (3, 10)]


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        pass


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Serve a release; return its url and sha256."""
    directory = tmp_path / "upstream"
    directory.mkdir()
    with tarfile.open(directory / "tool.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("tool-1.2.3/tool")
        member.size = len(PROGRAM)
        archive.addfile(member, io.BytesIO(PROGRAM))
    sha256 = hashlib.sha256((directory / "tool.tar.gz").read_bytes()).hexdigest()
    handler = functools.partial(QuietHandler, directory=str(directory))
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield {"url": f"http://127.0.0.1:{server.server_address[1]}/tool.tar.gz", "sha256": sha256}
        server.shutdown()


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return an environment with a systemctl of our own, whose unit appears with its file."""
    programs = tmp_path / "programs"
    state = tmp_path / "systemd"
    for directory in (programs, state):
        directory.mkdir()
    fake = Path(__file__).with_name("fake_systemctl.py").read_text()
    for name in ("systemctl", "journalctl"):
        (programs / name).write_text(f"#!{sys.executable} -IS\n{fake}")
        (programs / name).chmod(0o755)
    unit = {"LoadState": "loaded", "UnitFileState": "disabled"}
    (state / "state.json").write_text(json.dumps({"on_daemon_reload": unit}))
    return {
        **os.environ,
        "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "FAKE_SYSTEMD": str(state),
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.json",
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INJECT_INVOCATION": "true",
    }


def play(tmp_path: Path, upstream: dict[str, str]) -> list[dict[str, Any]]:
    host = tmp_path / "host"
    host.mkdir()
    (host / "bin").mkdir()
    for name, text in SOURCES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return [
        {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "tasks": [
                {
                    "labstack.stack.secret_files": {
                        "directory": str(host / "secrets"),
                        "secrets": [
                            {"name": "password"},
                            {"name": "given", "value": "given-by-vault"},
                        ],
                    },
                    "register": "result",
                    "no_log": True,
                },
                {
                    "labstack.stack.files": {
                        "directories": [{"path": str(host / "conf.d")}],
                        "files": [
                            {"src": "parts/", "dest": f"{host}/conf.d/", "replace": {"A": "B"}},
                            {"dest": str(host / "conf.d" / "gone"), "state": "absent"},
                        ],
                    }
                },
                {
                    "labstack.stack.service": {
                        "name": "tool",
                        "release": {
                            "version": "1.2.3",
                            "directory": str(host / "bin"),
                            **upstream,
                        },
                        "directories": [{"path": str(host / "etc")}],
                        "files": [
                            {"template": "s.j2", "dest": str(host / "etc" / "s"), "secret": True},
                            {
                                "template": "a.conf.j2",
                                "dest": str(host / "etc" / "a.conf"),
                                "validate": "tool check %s",
                            },
                        ],
                        "restart_on": ["a.conf", str(host / "conf.d")],
                        "reload_on": ["s"],
                        "settle": 0.1,
                    }
                },
                {"ansible.builtin.assert": {"that": "result.secrets.given == 'given-by-vault'"}},
            ],
        }
    ]


@pytest.mark.parametrize("interpreter", interpreters())
def test_a_play_converges_once(
    interpreter: str, tmp_path: Path, upstream: dict[str, str], environment: dict[str, str]
) -> None:
    (tmp_path / "play.yml").write_text(yaml.safe_dump(play(tmp_path, upstream)))

    def run(*arguments: str) -> list[bool]:
        """Run the play; return whether each of the modules changed something."""
        process = subprocess.run(
            [
                *("ansible-playbook", "-i", "localhost,", "--diff", "-vvv"),
                *("-e", f"ansible_python_interpreter={interpreter}"),
                *(*arguments, str(tmp_path / "play.yml")),
            ],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        output = process.stdout + process.stderr
        assert process.returncode == 0, output
        assert "given-by-vault" not in output.replace(
            "result.secrets.given == 'given-by-vault'", ""
        )
        secret = tmp_path / "host" / "secrets" / "password"
        assert not secret.exists() or secret.read_text() not in output
        report = json.loads(process.stdout[process.stdout.index("{\n") :])
        tasks = report["plays"][0]["tasks"][:3]
        return [task["hosts"]["localhost"]["changed"] for task in tasks]

    assert run("--check") == [True] * 3
    assert run() == [True] * 3
    assert run() == [False] * 3
    assert run("--check") == [False] * 3
    host = tmp_path / "host"
    assert (host / "etc" / "a.conf").read_text() == '# base\na="5%%"\n'
    assert (host / "conf.d" / "one").read_text() == "B {{ braces }} stay\n"
    assert {path.name for path in (host / "conf.d").iterdir()} == {"one", "two"}
