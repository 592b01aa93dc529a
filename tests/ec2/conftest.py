"""One stand-in for AWS for all tests; each has it empty."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from cli.running import KEPT_CREDENTIALS as KEPT
from tests.ec2.cloud import Cloud, give_addresses, give_vockey, write_images
from tests.ec2.traces import look
from tests.lab import ROOT, Lab

OWN_ADDRESS = "203.0.113.50"
KNOWN_HOSTS = ROOT / ".lab" / "ec2_known_hosts"


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """moto's server on the loopback; its address."""
    images = tmp_path_factory.mktemp("aws") / "amis.json"
    write_images(images)
    # moto reads the list when it is imported.
    os.environ["MOTO_AMIS_PATH"] = str(images)
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - see above

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


class _OwnAddress(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{OWN_ADDRESS}\n".encode())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        pass


@pytest.fixture(scope="session")
def checkip() -> Iterator[str]:
    """A server that says which address it is asked from."""
    server = HTTPServer(("127.0.0.1", 0), _OwnAddress)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


@pytest.fixture(scope="session")
def machine() -> Iterator[Lab]:
    """The stand-in host that plays the instance's machine."""
    lab = Lab("molecule-ec2_instance")
    lab.down()
    lab.up()
    yield lab
    lab.down()


@pytest.fixture(scope="session")
def blank(machine: Lab) -> dict[str, set[str]]:
    """What the machine has before anything is done."""
    return look(machine)


@contextlib.contextmanager
def account(aws: str, checkip: str, machine: Lab) -> Iterator[Cloud]:
    """An empty account, in which the next instance is the stand-in host, and a home directory."""
    requests.post(f"{aws}/moto-api/reset", timeout=10).raise_for_status()
    give_addresses(machine.address)
    # Not pytest's own directory: ssh's control sockets take 108 characters at most.
    home = Path(tempfile.mkdtemp(prefix="ec2-"))
    (home / ".ssh").mkdir(mode=0o700)
    # What the commands keep in the repository may be somebody's own.
    kept = {path: path.read_bytes() if path.exists() else None for path in (KNOWN_HOSTS, KEPT)}
    KEPT.unlink(missing_ok=True)
    yield Cloud(aws, home, checkip)
    for path, content in kept.items():
        if content is None:
            path.unlink(missing_ok=True)
        else:
            path.write_bytes(content)
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def cloud(aws: str, checkip: str, machine: Lab) -> Iterator[Cloud]:
    """An account of the test's own."""
    with account(aws, checkip, machine) as cloud:
        yield cloud


@pytest.fixture
def own_key(cloud: Cloud) -> Path:
    """The student has an SSH key, and the machine lets it in."""
    private = cloud.home / ".ssh" / "id_ed25519"
    shutil.copy(ROOT / ".lab" / "id_ed25519", private)
    shutil.copy(ROOT / ".lab" / "id_ed25519.pub", private.with_suffix(".pub"))
    # ssh asks the system, not HOME, where the home directory is.
    cloud.environment["EC2_KEY"] = str(private)
    return private


@pytest.fixture
def learner_lab(cloud: Cloud) -> Path:
    """A Learner Lab's account: the key pair vockey, and its private key as downloaded."""
    give_vockey(cloud)
    private = cloud.home / "labsuser.pem"
    shutil.copy(ROOT / ".lab" / "id_ed25519", private)
    return private
