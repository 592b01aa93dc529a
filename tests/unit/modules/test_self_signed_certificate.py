"""The module self_signed_certificate."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.labstack.stack.plugins.modules import self_signed_certificate

from tests.unit.conftest import Result, RunKilled, RunModule

Certificate = Callable[..., Result]
NEEDED = shutil.which("openssl") is None
pytestmark = pytest.mark.skipif(NEEDED, reason="needs the openssl command")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "labstack" / "tls"


@pytest.fixture
def certificate(run_module: RunModule, directory: Path) -> Certificate:
    """Run the module: certificate("203.0.113.7")."""

    def run(address: str = "203.0.113.7", *, check: bool = False, **options: Any) -> Result:
        arguments = {
            "directory": str(directory),
            "address": address,
            "gid": os.getegid(),
            **options,
        }
        return run_module(self_signed_certificate.main, arguments, check=check)

    return run


def names(directory: Path) -> list[str]:
    return sorted(entry.name for entry in directory.iterdir())


def shown(directory: Path) -> str:
    command = ["openssl", "x509", "-in", str(directory / "cert.pem"), "-noout", "-text"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("203.0.113.7", "IP Address:203.0.113.7"),
        ("2001:db8::7", "IP Address:2001:DB8:0:0:0:0:0:7"),
        ("lab.example.org", "DNS:lab.example.org"),
        (f"{'long-name.' * 8}example.org", "DNS:long-name."),
    ],
)
def test_it_is_made_for_the_address(
    certificate: Certificate, directory: Path, address: str, name: str
) -> None:
    result = certificate(address)
    assert result["changed"]
    assert result["reason"] == "there is none"
    text = shown(directory)
    assert name in text
    assert "CA:FALSE" in text
    assert "TLS Web Server Authentication" in text
    assert result["version"] == str((directory / "cert.pem").stat().st_mtime_ns)
    assert result["certificate"] == (directory / "cert.pem").read_text()

    again = certificate(address)
    assert (again["changed"], again["reason"], again["version"]) == (False, "", result["version"])


def test_a_client_that_is_given_the_certificate_trusts_it(
    certificate: Certificate, directory: Path
) -> None:
    certificate()
    path = str(directory / "cert.pem")
    command = ["openssl", "verify", "-CAfile", path, "-verify_ip", "203.0.113.7", path]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0


def test_only_the_group_may_read_the_key(certificate: Certificate, directory: Path) -> None:
    certificate()
    modes = {path.name: oct(path.stat().st_mode & 0o7777) for path in directory.iterdir()}
    assert modes == {"cert.pem": "0o444", "key.pem": "0o440"}
    assert oct(directory.stat().st_mode & 0o7777) == "0o750"


def test_the_place_of_a_trusted_one_is_made_and_kept(
    certificate: Certificate, tmp_path: Path
) -> None:
    place = tmp_path / "trusted"
    assert certificate(trusted_directory=str(place))["trusted"] is False
    assert oct(place.stat().st_mode & 0o7777) == "0o750"
    assert certificate(trusted_directory=str(place))["changed"] is False
    place.chmod(0o777)
    assert certificate(trusted_directory=str(place), check=True)["changed"]
    assert certificate(trusted_directory=str(place))["changed"]
    assert oct(place.stat().st_mode & 0o7777) == "0o750"


def test_wrong_modes_are_put_right(certificate: Certificate, directory: Path) -> None:
    version = certificate()["version"]
    (directory / "key.pem").chmod(0o644)
    assert certificate(check=True)["changed"]
    result = certificate()
    assert (result["changed"], result["version"]) == (True, version)
    assert (directory / "key.pem").stat().st_mode & 0o777 == 0o440


def test_another_address_needs_another(certificate: Certificate) -> None:
    version = certificate("203.0.113.7")["version"]
    result = certificate("203.0.113.8")
    assert result["reason"] == "it is not for 203.0.113.8"
    assert result["version"] != version
    assert certificate("lab.example.org")["reason"] == "it is not for lab.example.org"


def test_it_is_renewed_before_it_ends(certificate: Certificate) -> None:
    certificate(days=20)
    assert certificate()["reason"] == "it ends in less than 30 days"
    assert not certificate()["changed"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("cert.pem", "it is unreadable"), ("key.pem", "it is unreadable")],
)
def test_damage_is_healed(
    certificate: Certificate, directory: Path, name: str, reason: str
) -> None:
    certificate()
    (directory / name).chmod(0o600)
    (directory / name).write_text("not PEM")
    assert certificate()["reason"] == reason
    assert not certificate()["changed"]


@pytest.mark.parametrize(("function", "call"), [("fsync", 1), ("replace", 1), ("replace", 2)])
def test_a_killed_run_is_healed(
    certificate: Certificate,
    run_killed: RunKilled,
    directory: Path,
    function: str,
    call: int,
) -> None:
    certificate("203.0.113.7")
    arguments = {"directory": str(directory), "address": "203.0.113.8", "gid": os.getegid()}
    run_killed("self_signed_certificate", arguments, function, call)
    assert certificate("203.0.113.8")["changed"]
    assert not certificate("203.0.113.8")["changed"]
    assert names(directory) == ["cert.pem", "key.pem"]


def test_check_mode_writes_nothing(certificate: Certificate, directory: Path) -> None:
    result = certificate(check=True)
    assert (result["changed"], result["version"]) == (True, "0")
    assert not directory.parent.exists()


@pytest.mark.parametrize("address", ["", "two words", "a,DNS:evil.example.org", "a\nb", "-x-.:"])
def test_what_is_no_address_is_refused(
    certificate: Certificate, directory: Path, address: str
) -> None:
    result = certificate(address)
    assert result["failed"]
    assert "webapp_address" in result["msg"]
    assert not any(directory.glob("*"))


def test_without_openssl_the_next_step_is_told(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AnsibleModule, "get_bin_path", lambda *_, **__: None)
    assert "apt-get install openssl" in certificate()["msg"]
    assert certificate(check=True)["changed"]
