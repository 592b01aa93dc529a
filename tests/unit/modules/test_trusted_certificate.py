"""The module trusted_certificate, and the program that the timer runs: they share their code."""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.labstack.stack.plugins.module_utils import certificates
from ansible_collections.labstack.stack.plugins.modules import trusted_certificate

from tests.unit.conftest import Result, RunModule

FAKE_DOCKER = Path(__file__).with_name("fake_docker.py")
PROGRAM = Path(certificates.__file__)
SERVER = "https://acme.example.net/dir"
pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")


class Host:
    """A host: its directories, docker, and a web server on the loopback.

    Attributes:
        docker: the stand-in's directory.
        trusted: what the web server mounts.
        port: the web server's port.
    """

    def __init__(self, root: Path) -> None:
        self.docker = root / "docker"
        self.trusted = root / "trusted"
        self.image = root / "image"
        for path in (self.docker, self.trusted / "webroot", self.image, root / "state"):
            path.mkdir(parents=True)
        (self.docker / "trusted").write_text(str(self.trusted))
        (self.docker / "running").touch()
        (self.image / "Dockerfile").write_text("FROM scratch\n")
        self.state = root / "state"
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        """Show the pair that was read at the last signal; hang up on everybody without one."""
        while True:
            try:
                plain, _ = self._socket.accept()
            except OSError:
                return
            with plain:
                shown = self.docker / "shown"
                if not shown.exists():
                    continue
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                try:
                    context.load_cert_chain(shown / "cert.pem", shown / "key.pem")
                    context.wrap_socket(plain, server_side=True).close()
                except OSError:
                    continue

    def close(self) -> None:
        self._socket.close()

    def settings(self, address: str = "203.0.113.7", **more: Any) -> dict[str, Any]:
        return {
            "address": address,
            "server": SERVER,
            "profile": "shortlived",
            "email": "",
            "ca_file": "",
            "directory": str(self.trusted),
            "state": str(self.state),
            "image_folder": str(self.image),
            "python": "3.13-slim",
            "uid": 10002,
            "gid": os.getegid(),
            "project": "webapp",
            "service": "apache",
            "https_port": self.port,
            **more,
        }

    @property
    def pair(self) -> str:
        link = self.trusted / "current"
        return link.readlink().name if link.is_symlink() else ""

    def calls(self) -> list[str]:
        """What docker was asked for since the last look."""
        path = self.docker / "calls"
        said = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return said

    def fails(self, words: str) -> None:
        (self.docker / "says").write_text(words)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "docker").write_text(f"#!{sys.executable} -IS\n{FAKE_DOCKER.read_text()}")
    (programs / "docker").chmod(0o755)
    host = Host(tmp_path)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_DOCKER", str(host.docker))
    # For the tests in which nobody serves; long enough for a busy machine in the others.
    monkeypatch.setattr(certificates, "SERVE_TIMEOUT_S", 10.0)
    yield host
    host.close()


Keep = Callable[..., Result]


@pytest.fixture
def keep(run_module: RunModule, host: Host) -> Keep:
    """Run the module: keep("203.0.113.7", profile="")."""

    def run(*address: str, check: bool = False, state: str = "present", **settings: Any) -> Result:
        options = {"settings": host.settings(*address, **settings), "state": state}
        return run_module(trusted_certificate.main, options, check=check)

    return run


def timer(host: Host, *arguments: str, **settings: Any) -> subprocess.CompletedProcess[str]:
    """Run the program as the timer does."""
    path = host.docker / "settings.json"
    path.write_text(json.dumps(host.settings(**settings)))
    return subprocess.run(
        [sys.executable, "-I", PROGRAM, path, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_it_is_issued_and_served(keep: Keep, host: Host) -> None:
    told = keep(check=True)
    assert (told["changed"], host.pair, host.calls()) == (True, "", [])
    result = keep()
    assert (result["changed"], result["reason"]) == (True, "there is none")
    assert host.pair.startswith("203.0.113.7-")
    modes = {p.name: oct(p.stat().st_mode & 0o777) for p in (host.trusted / host.pair).iterdir()}
    assert modes == {"cert.pem": "0o444", "key.pem": "0o440"}
    assert (host.docker / "shown" / "cert.pem").exists()
    asked = next(call for call in host.calls() if call.startswith("run "))
    for words in (
        "--ip-address 203.0.113.7",
        "--required-profile shortlived",
        "--register-unsafely-without-email",
        "--cap-drop ALL",
        "--read-only",
        "--user 10002:10002",
    ):
        assert words in asked

    again = keep()
    assert (again["changed"], again["reason"]) == (False, "")
    assert host.calls() == [], "what is fit costs no call of docker"
    assert not keep(check=True)["changed"]


def test_what_is_asked_for_follows_the_settings(keep: Keep, host: Host) -> None:
    keep("lab.example.org", profile="", email="me@example.org", ca_file="/ca.pem")
    asked = next(call for call in host.calls() if call.startswith("run "))
    assert "--domain lab.example.org" in asked
    assert "--email me@example.org" in asked
    assert "--env REQUESTS_CA_BUNDLE=/ca.pem" in asked
    assert "profile" not in asked


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"address": "203.0.113.8"}, "it is not for 203.0.113.8"),
        ({"server": "https://other.example.net/dir"}, "it was asked of another server"),
        ({"profile": ""}, "with another profile"),
    ],
)
def test_other_settings_need_another(
    keep: Keep, host: Host, change: dict[str, str], reason: str
) -> None:
    keep()
    before = host.pair
    assert reason in keep(**change, check=True)["reason"]
    assert reason in keep(**change)["reason"]
    assert host.pair != before
    assert sorted(p.name for p in host.trusted.iterdir()) == sorted(
        [host.pair, "current", "webroot"]
    )


def test_it_is_due_at_half_of_its_life(keep: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    keep()
    # As long as its life is, so that "half" is more than is left.
    monkeypatch.setattr(certificates.Keeper, "lifetime", lambda _: 2 * 8 * certificates.DAY_S)
    assert keep(check=True)["reason"] == "it ends in less than 192 hours"


@pytest.mark.parametrize("damage", ["cert.pem", "key.pem"])
def test_damage_is_healed(keep: Keep, host: Host, damage: str) -> None:
    keep()
    path = host.trusted / host.pair / damage
    path.chmod(0o600)
    path.write_text("not PEM")
    assert keep()["reason"] == "it is unreadable"
    assert not keep()["changed"]


def test_a_run_that_was_killed_before_the_server_was_told(keep: Keep, host: Host) -> None:
    keep()
    shutil.rmtree(host.docker / "shown")
    assert keep(check=True)["changed"]
    host.calls()
    assert keep()["changed"]
    assert [call.split()[0] for call in host.calls()] == ["ps", "kill"]
    assert not keep()["changed"]


def test_what_a_killed_run_left_is_swept(keep: Keep, host: Host) -> None:
    (host.trusted / ".labstack-new-x").mkdir()
    (host.trusted / "203.0.113.7-0123abcd.0A").mkdir()
    keep()
    assert sorted(p.name for p in host.trusted.iterdir()) == sorted(
        [host.pair, "current", "webroot"]
    )


def test_a_server_that_is_off_reads_it_when_it_starts(keep: Keep, host: Host) -> None:
    (host.docker / "running").unlink()
    assert keep()["changed"]
    assert host.pair


def test_a_server_that_does_not_take_it_is_told(keep: Keep, host: Host) -> None:
    (host.docker / "refuses").write_text("kill")
    assert "cannot be reloaded" in keep()["msg"]
    (host.docker / "refuses").unlink()
    (host.docker / "trusted").write_text("/nonexistent")
    assert "shows another one" in keep()["msg"]


CONNECTION = """\
Certbot failed to authenticate some domains (authenticator: webroot). The Certificate Authority reported these problems:
  Identifier: 203.0.113.7
  Type:   connection
  Detail: 203.0.113.7: Fetching http://203.0.113.7/.well-known/x: Timeout during connect
Some challenges have failed.
Ask for help or search for solutions at https://community.letsencrypt.org.
"""  # noqa: E501 - as certbot writes it


@pytest.mark.parametrize(
    ("said", "seen", "cause", "remedy"),
    [
        (CONNECTION, "Timeout during connect", "does not reach port 80", "Security groups"),
        (
            CONNECTION.replace("connection", "unauthorized"),
            "Timeout",
            "another machine or another server",
            "stack_address",
        ),
        (
            "urn:ietf:params:acme:error:rateLimited :: too many certificates (5) already issued",
            "already issued",
            "rate limit",
            "versions.yml",
        ),
        (
            "urn:ietf:params:acme:error:rejectedIdentifier :: IP address is in a reserved block",
            "reserved block",
            "only for public ones",
            "stack_address: 203.0.113.7",
        ),
        (
            "An unexpected error occurred:\nrequests.exceptions.ConnectionError: Max retries",
            "Max retries",
            "does not answer",
            f"curl -I {SERVER}",
        ),
        (
            "requests.exceptions.SSLError: Max retries (CERTIFICATE_VERIFY_FAILED)",
            "SSLError",
            "not trusted",
            "certificate_acme_ca_file",
        ),
        ('Order includes unrecognized profile name "x"', '"x"', "profile", "certificate_profile"),
        ("invalidContact :: contact email has forbidden domain", "", "e-mail", "certificate_email"),
        ("accountDoesNotExist :: no such account", "", "know the account", "config/accounts"),
        ("Traceback: something new", "something new", "words are all", "letsencrypt.log"),
    ],
)
def test_a_failure_says_what_to_do(
    host: Host, said: str, seen: str, cause: str, remedy: str
) -> None:
    host.fails(said)
    message = timer(host).stderr.strip()
    lines = dict(line.strip().split(None, 1) for line in message.splitlines()[1:4])
    assert message.startswith(f"No trusted certificate for 203.0.113.7 from {SERVER}.")
    assert seen in lines["seen:"]
    assert cause in lines["cause:"]
    assert remedy in lines["->"]
    assert message.endswith("Meanwhile the self-signed certificate serves.")


def test_an_image_that_cannot_be_built(keep: Keep, host: Host) -> None:
    (host.docker / "refuses").write_text("build")
    message = keep()["msg"]
    assert "docker build: refused" in message
    assert "docker_registry_mirrors" in message


def test_a_failure_leaves_what_is_fit(keep: Keep, host: Host) -> None:
    keep()
    before = host.pair
    host.fails("rateLimited")
    failed = timer(host, "--now")
    assert failed.returncode == 1
    assert "the certificate of before goes on serving" in failed.stderr
    assert host.pair == before
    assert not keep()["changed"]


def test_a_failure_takes_away_what_is_for_another_address(keep: Keep, host: Host) -> None:
    keep()
    host.fails("rateLimited")
    message = keep("203.0.113.8")["msg"]
    assert "it is not for 203.0.113.8" in message
    assert host.pair == ""
    assert not (host.docker / "shown").exists(), "the web server was told"
    assert [path.name for path in host.trusted.iterdir()] == ["webroot"]


def test_the_timer_renews_and_says_so(host: Host) -> None:
    first = timer(host)
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout == f"{host.pair}: renewed, and serves\n"
    before = host.pair
    assert timer(host).stdout == f"{before}: not due yet\n"
    assert "renewed" in timer(host, "--now").stdout
    assert host.pair != before


def test_taken_off_the_self_signed_one_serves(keep: Keep, host: Host) -> None:
    assert not keep(state="absent")["changed"]
    keep()
    assert keep(state="absent", check=True)["changed"]
    assert host.pair
    assert keep(state="absent")["changed"]
    assert [path.name for path in host.trusted.iterdir()] == ["webroot"]
    assert not (host.docker / "shown").exists()
    assert not (host.docker / "image").exists()
    assert not keep(state="absent")["changed"]


def test_without_docker_check_mode_tells_what_would_come(
    keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert keep(check=True)["changed"]
    assert "role docker" in keep()["msg"]
