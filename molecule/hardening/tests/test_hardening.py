"""A hardened host, as its owner and as an attacker sees it."""

from __future__ import annotations

import base64
import json
import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from testinfra.host import Host

from tests.ask import wait_until
from tests.lab import Lab

# The port that the scenario's play has limited, and the limit.
PORT = 9100
BURST = 1024 * 1024
LAB = Lab(os.environ.get("LABSTACK_LAB", "molecule-hardening"))
# Refuses everybody, as an exporter does.
REFUSE = """\
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(401)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("", 9100), Handler).serve_forever()
"""


def sshd(host: Host) -> dict[str, str]:
    """What sshd makes of all of its settings."""
    lines = host.check_output("sshd -T").splitlines()
    return dict(line.split(" ", 1) for line in lines)


def test_sshd_takes_no_passwords_where_nobody_has_one(host: Host) -> None:
    settings = sshd(host)
    assert settings["passwordauthentication"] == "no"
    assert settings["loglevel"] == "VERBOSE"
    assert settings["x11forwarding"] == "no"
    assert settings["persourcemaxstartups"] == "10"
    assert "sha1" not in settings["macs"]


def test_who_has_a_password_keeps_it(host: Host) -> None:
    host.check_output("useradd --create-home teacher")
    host.check_output("usermod --password %s teacher", "$6$salt$hash")
    try:
        run = LAB.play(playbook="molecule/hardening/converge.yml")
        assert run.status == 0, run.output[-4000:]
        assert sshd(host)["passwordauthentication"] == "yes"
    finally:
        host.check_output("userdel --remove teacher")
        run = LAB.play(playbook="molecule/hardening/converge.yml")
    assert run.status == 0, run.output[-4000:]
    assert sshd(host)["passwordauthentication"] == "no"


def test_settings_that_sshd_would_refuse_change_nothing(host: Host) -> None:
    """Somebody else's file is at fault: an sshd with ours beside it would not start again."""
    broken = "/etc/ssh/sshd_config.d/50-broken.conf"
    ours = "/etc/ssh/sshd_config.d/10-labstack.conf"
    before = host.file(ours).content_string
    host.check_output("echo Nonsense yes > %s", broken)
    try:
        run = LAB.play(
            "-e", "hardening_ssh_max_startups=50", playbook="molecule/hardening/converge.yml"
        )
    finally:
        host.check_output("rm %s", broken)
    assert run.status != 0
    assert "Nonsense" in run.output
    assert host.file(ours).content_string == before
    assert sshd(host)["maxstartups"] == "30:30:60"


def test_the_running_sshd_has_the_settings(host: Host) -> None:
    """It names the ways to log in to whoever comes without a key."""
    asked = host.check_output(
        "ssh -v -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
        " -o IdentitiesOnly=yes -o IdentityFile=/none nobody@127.0.0.1 2>&1 || true"
    )
    assert "Authentications that can continue: publickey\n" in asked.replace("\r", "")


# One that a network namespace has for itself: other labs of this machine have the same kernel.
SENDS_REDIRECTS = "net.ipv4.conf.all.send_redirects"


def test_security_updates_come_by_themselves(host: Host) -> None:
    said = host.run("unattended-upgrade --dry-run --debug").stdout
    assert "Allowed origins are:" in said
    assert "ecurity" in said.split("Allowed origins are:")[1].splitlines()[0]
    periodic = host.check_output("apt-config dump APT::Periodic")
    assert 'Unattended-Upgrade "1"' in periodic
    assert 'Update-Package-Lists "1"' in periodic


@pytest.fixture
def service(host: Host) -> Iterator[None]:
    """Somebody who asks for a password listens on the limited port."""
    host.check_output("printf %%s %s > /root/refuse.py", REFUSE)
    host.check_output("systemd-run --unit refuse --collect python3 /root/refuse.py")
    wait_until(lambda: host.socket(f"tcp://0.0.0.0:{PORT}").is_listening, 15)
    yield
    host.check_output("systemctl stop refuse && rm /root/refuse.py")


def dropped(host: Host) -> int:
    """How many packets the limit has dropped."""
    table = json.loads(host.check_output("nft --json list table inet labstack_hardening"))
    return sum(
        part["counter"]["packets"]
        for entry in table["nftables"]
        for part in entry.get("rule", {}).get("expr", [])
        if "counter" in part
    )


def guess(address: str, size: int) -> int:
    """Send wrong passwords until so many bytes are gone; return how many were refused."""
    refused = sent = 0
    with socket.create_connection((address, PORT), timeout=10) as connection:
        while sent < size:
            pair = base64.b64encode(b"monitor:" + os.urandom(300)).decode()
            request = f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {pair}\r\n\r\n".encode()
            connection.sendall(request)
            sent += len(request)
            try:
                assert b"401" in connection.recv(4096)
            except TimeoutError:
                # So much was dropped that TCP waits for longer and longer before it sends again.
                break
            refused += 1
    return refused


@pytest.mark.usefixtures("service")
def test_who_tries_passwords_is_slowed_down_and_the_host_itself_is_not(host: Host) -> None:
    address = LAB.address
    # Somebody who reads metrics for a while.
    assert guess(address, BURST // 8) > 0
    assert dropped(host) == 0
    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(lambda _: guess(address, BURST // 2), range(4))) > 0
    before = dropped(host)
    assert before > 0
    flood = (
        'python3 -c "import urllib.request as r, urllib.error as e\n'
        "for _ in range(3000):\n"
        "    try: r.urlopen('http://127.0.0.1:9100/')\n"
        '    except e.HTTPError: pass"'
    )
    host.check_output(flood)
    assert dropped(host) == before


def test_everything_is_taken_back(host: Host) -> None:
    """The stop gives kernel, firewall and sshd back what they had; the start is a boot's."""
    assert host.sysctl(SENDS_REDIRECTS) == 0
    host.check_output("systemctl stop labstack-hardening")
    try:
        assert host.sysctl(SENDS_REDIRECTS) == 1
        assert "labstack_hardening" not in host.check_output("nft list tables")
    finally:
        host.check_output("systemctl start labstack-hardening")
    assert host.sysctl(SENDS_REDIRECTS) == 0
    assert "labstack_hardening" in host.check_output("nft list tables")
