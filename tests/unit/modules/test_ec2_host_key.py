"""ec2_host_key: the key that the console shows is pinned under the instance's id."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.labstack.stack.plugins.modules import ec2_host_key

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.conftest import RunModule

ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJfQ0Zfpd8eqHSmVUYDZXYUnVZBNfX3rOLzIXqXzqRPx"
ECDSA = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBKj0="
OLD = ED25519.replace("RPx", "OLD")
# As cloud-init prints it; the second form is that of a console with kernel messages in between.
CONSOLE = f"""\
[    9.1] cloud-init[690]: Generating public/private ed25519 key pair.
-----BEGIN SSH HOST KEY FINGERPRINTS-----
256 SHA256:abc root@ip-172-31-0-1 (ED25519)
-----END SSH HOST KEY FINGERPRINTS-----
-----BEGIN SSH HOST KEY KEYS-----
{OLD} root@old
-----END SSH HOST KEY KEYS-----
-----BEGIN SSH HOST KEY KEYS-----
{ECDSA} root@ip-172-31-0-1
[   14.2] cloud-init[1011]: {ED25519} root@ip-172-31-0-1
-----END SSH HOST KEY KEYS-----
"""


class Console:
    """An account whose console says a text."""

    text = ""

    def __init__(self, *_: str) -> None:
        pass

    def ask(self, operation: str, **parameters: str) -> dict[str, Any]:
        assert (operation, parameters) == ("get_console_output", {"InstanceId": "i-1"})
        return {"Output": self.text} if self.text else {}


@pytest.fixture
def options(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    monkeypatch.setattr(ec2_host_key, "Account", Console)
    monkeypatch.setattr(Console, "text", CONSOLE)
    return {"instance_id": "i-1", "known_hosts": str(tmp_path / "state" / "known_hosts")}


def test_the_newest_keys_are_pinned_once(
    run_module: RunModule, options: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "state" / "known_hosts"
    told = run_module(ec2_host_key.main, options, check=True)
    assert (told["changed"], path.exists()) == (True, False)

    result = run_module(ec2_host_key.main, options)
    assert (result["changed"], result["source"]) == (True, "console")
    assert path.read_text() == f"i-1 {ECDSA}\ni-1 {ED25519}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600

    again = run_module(ec2_host_key.main, options)
    assert (again["changed"], again["source"]) == (False, "known")


def test_a_pinned_key_stays(run_module: RunModule, options: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "state" / "known_hosts"
    path.parent.mkdir()
    path.write_text(f"i-1 {OLD}\n")
    assert not run_module(ec2_host_key.main, options)["changed"]
    assert path.read_text() == f"i-1 {OLD}\n"


@pytest.mark.parametrize("text", ["", "Linux version 6.8 booting\nno keys here"])
def test_without_keys_the_first_login_pins(
    run_module: RunModule,
    options: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    text: str,
) -> None:
    monkeypatch.setattr(Console, "text", text)
    result = run_module(ec2_host_key.main, options)
    assert (result["changed"], result["source"]) == (False, "login")
    assert not (tmp_path / "state").exists()
