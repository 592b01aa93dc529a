"""A trusted certificate on a bare IP address, from an ACME server that validates on port 80.

The tests are one story: issued, renewed under load, another address, the server away, taken away.
"""

from __future__ import annotations

import http.client
import ssl
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.lab import Lab, Run

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.pebble import Pebble

RENEW = "sudo python3 -I /opt/certbot/certificates.py /opt/certbot/settings.json --now"
PLAYBOOK = "tests/tls/site.yml"


@dataclass
class Visitor:
    """Somebody whose browser trusts the ACME server's root.

    Attributes:
        lab: where the host is; asked anew each time, since its address changes.
        context: TLS as a browser has it.
    """

    lab: Lab
    context: ssl.SSLContext

    def get(self, path: str, *, secure: bool = True) -> tuple[int, dict[str, str]]:
        """Ask once, on a connection of its own; return status and headers. Raises OSError."""
        connection: http.client.HTTPConnection
        if secure:
            connection = http.client.HTTPSConnection(
                self.lab.address, timeout=10, context=self.context
            )
        else:
            connection = http.client.HTTPConnection(self.lab.address, timeout=10)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            answer = connection.getresponse()
            answer.read()
        finally:
            connection.close()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}

    def serial(self, address: str) -> str:
        """The serial number of the certificate that is shown, once it is found trusted."""
        connection = http.client.HTTPSConnection(address, timeout=10, context=self.context)
        try:
            connection.connect()
            shown = connection.sock.getpeercert()
        finally:
            connection.close()
        assert shown
        assert ("IP Address", address) in shown["subjectAltName"]
        ends = ssl.cert_time_to_seconds(str(shown["notAfter"]))
        # Let's Encrypt's profile for bare addresses.
        assert 159 * 3600 < ends - time.time() < 161 * 3600
        return str(shown["serialNumber"])


@pytest.fixture(scope="module")
def visitor(lab: Lab, pebble: Pebble) -> Visitor:
    return Visitor(lab, ssl.create_default_context(cadata=pebble.root))


@dataclass
class Site:
    """Runs of the playbook with a trusted certificate asked for."""

    lab: Lab
    arguments: list[str]

    def play(self, *arguments: str) -> Run:
        return self.lab.play(*self.arguments, *arguments, playbook=PLAYBOOK)


@pytest.fixture(scope="module")
def site(lab: Lab, pebble: Pebble, tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder: Path = tmp_path_factory.mktemp("acme")
    (folder / "ca.pem").write_text(pebble.ca)
    (folder / "root.pem").write_text(pebble.root)
    variables = {
        "webapp_tls": "letsencrypt",
        "certificate_acme_server": pebble.url,
        "certificate_acme_ca_file": folder / "ca.pem",
        "verify_ca_file": folder / "root.pem",
    }
    return Site(
        lab, [word for item in variables.items() for word in ("-e", "=".join(map(str, item)))]
    )


def test_a_blank_host_gets_a_trusted_certificate(site: Site, lab: Lab, visitor: Visitor) -> None:
    run = site.play()
    assert run.status == 0, run.output[-6000:]
    assert visitor.serial(lab.address)

    status, headers = visitor.get("/products?a=b%2F%20c", secure=False)
    assert status == 307
    assert headers["location"] == f"https://{lab.address}/products?a=b%2F%20c"
    assert visitor.get("/products?a=b%2F%20c")[0] == 200
    # A browser must not take a bare address for HTTPS only: tomorrow it is somebody else's.
    assert "strict-transport-security" not in visitor.get("/")[1]
    assert visitor.get("/healthz", secure=False)[0] == 200
    assert visitor.get("/.well-known/acme-challenge/none", secure=False)[0] == 404

    assert lab.ssh("systemctl is-active labstack-certificate.timer").stdout.strip() == "active"
    assert lab.ssh("cat /etc/labstack/trusted/current/key.pem").returncode != 0
    # Nothing that certbot runs with may write where root's programs are.
    assert lab.ssh("sudo find /opt/certbot ! -user root").stdout == ""


def test_run_again_it_changes_nothing_and_asks_nobody(site: Site, pebble: Pebble) -> None:
    before = pebble.log()
    run = site.play()
    assert run.status == 0, run.output[-4000:]
    assert run.recap["changed"] == 0
    told = site.play("--check")
    assert told.recap["changed"] == 0, told.output[-4000:]
    assert pebble.log() == before


@dataclass
class Load:
    """Requests one after the other, each on a new connection, until the end of a `with`."""

    visitor: Visitor
    good: int = 0
    bad: list[str] = field(default_factory=list)

    def __enter__(self) -> Load:
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(2)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        while not self._end.is_set():
            try:
                status, _ = self.visitor.get("/products")
            except (OSError, http.client.HTTPException) as error:
                self.bad.append(repr(error))
            else:
                self.good += status == 200
                if status != 200:
                    self.bad.append(str(status))


def test_a_renewal_is_served_without_a_lost_request(lab: Lab, visitor: Visitor) -> None:
    before = visitor.serial(lab.address)
    started = "sudo docker inspect -f '{{.State.StartedAt}}' webapp-apache-1"
    apache = lab.ssh(started).stdout
    with Load(visitor) as load:
        renewed = lab.ssh(RENEW)
        assert renewed.returncode == 0, renewed.stderr
        after = visitor.serial(lab.address)
    assert after != before
    assert load.bad == []
    assert load.good > 10
    assert lab.ssh(started).stdout == apache
    # One pair is left, the one that serves.
    assert len(lab.ssh("sudo ls /etc/labstack/trusted").stdout.split()) == 3

    # As the timer does it, with the unit's few rights: nothing is due.
    timer = lab.ssh("sudo systemctl start labstack-certificate")
    journal = "sudo journalctl --unit labstack-certificate --output cat --lines 5"
    assert timer.returncode == 0, lab.ssh(journal).stdout
    assert "not due yet" in lab.ssh(journal).stdout
    assert visitor.serial(lab.address) == after


def test_the_unit_renews_with_the_few_rights_that_it_has(lab: Lab, visitor: Visitor) -> None:
    before = visitor.serial(lab.address)
    # What a killed run may leave: no image, no pair.
    lab.ssh("sudo docker image rm -f $(sudo docker image ls -q labstack-certbot)")
    lab.ssh("sudo rm -r /etc/labstack/trusted/current /var/lib/certbot/config/live")
    lab.ssh("sudo rm -r /var/lib/certbot/config/renewal /var/lib/certbot/config/archive")
    timer = lab.ssh("sudo systemctl start labstack-certificate")
    assert timer.returncode == 0, lab.ssh("sudo journalctl -u labstack-certificate -n 30").stdout
    assert visitor.serial(lab.address) != before


def test_a_new_address_gets_a_certificate_of_its_own(
    site: Site, lab: Lab, visitor: Visitor
) -> None:
    before = lab.address
    address = lab.move()
    assert address != before
    run = site.play()
    assert run.status == 0, run.output[-6000:]
    assert visitor.serial(address)
    assert visitor.get("/", secure=False)[1]["location"] == f"https://{address}/"


@pytest.fixture(scope="module")
def away(pebble: Pebble) -> None:
    """From here on the ACME server is away."""
    pebble.stop()


@pytest.mark.usefixtures("away")
def test_without_the_server_the_old_certificate_goes_on_serving(
    site: Site, lab: Lab, visitor: Visitor
) -> None:
    before = visitor.serial(lab.address)
    failed = lab.ssh(RENEW)
    assert failed.returncode == 1
    assert "the ACME server does not answer" in failed.stderr
    assert "curl -I https://" in failed.stderr
    assert "the certificate of before goes on serving" in failed.stderr
    assert visitor.serial(lab.address) == before

    # Another server is asked for, which nobody is at.
    run = site.play("-e", "certificate_acme_server=https://127.0.0.1:9/dir")
    assert run.status != 0
    words = " ".join(run.output.split())
    assert f"No trusted certificate for {lab.address} from https://127.0.0.1:9/dir" in words
    assert "cause: the ACME server does not answer" in words
    assert visitor.serial(lab.address) == before


@pytest.mark.usefixtures("away")
def test_self_signed_again_leaves_nothing_of_it(site: Site, lab: Lab, visitor: Visitor) -> None:
    run = site.play("-e", "webapp_tls=self_signed")
    assert run.status == 0, run.output[-6000:]
    with pytest.raises(ssl.SSLCertVerificationError):
        visitor.serial(lab.address)
    assert visitor.get("/products", secure=False)[0] == 200
    left = "ls /opt /etc/systemd/system /etc/labstack; sudo docker image ls"
    assert "certbot" not in lab.ssh(left).stdout
    assert "labstack-certificate" not in lab.ssh(left).stdout
    # What it has of the authority stays, for the next time.
    assert lab.ssh("sudo ls /var/lib/certbot/config/accounts").returncode == 0
