"""A pair of certificate and key: whether it fits, and how a trusted one is kept.

It runs in two places: in Ansible modules, and by itself on a host, where the role certificate
installs it for its timer. So it needs Python 3.10, openssl and docker, and nothing beside it.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import ipaddress
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

CERTIFICATE, KEY = "cert.pem", "key.pem"
HOUR_S = 3600
DAY_S = 24 * HOUR_S
# certbot waits 45 s for a server that says nothing, and asks several times.
CERTBOT_TIMEOUT_S = 300
BUILD_TIMEOUT_S = 900
DOCKER_TIMEOUT_S = 60
# Apache takes a new certificate within a second; a t2.micro under load some more.
SERVE_TIMEOUT_S = 15.0
POLL_S = 0.1
IMAGE = "labstack-certbot"
# Only one runs at a time, and one that was left by a killed run is found by its name.
CONTAINER = "labstack-certbot"
PAIR_NAME = re.compile(r".+-[0-9a-f]{8}\.[0-9A-F]+")


class CertificateError(Exception):
    """No certificate can be had, or it cannot be served. The message says why."""


def openssl(command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the openssl command; its exit status is the caller's business."""
    return subprocess.run(
        [command, *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )


def is_ip(address: str) -> bool:
    """Tell an IP address from a DNS name."""
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True


def fault(command: str, directory: Path, address: str, seconds: int) -> str:
    """Return what is wrong with the pair of files, or an empty text.

    Args:
        command: path of openssl.
        directory: where the files are.
        address: what the certificate must name.
        seconds: how long it must be valid from now.
    """
    certificate, key = directory / CERTIFICATE, directory / KEY
    if not certificate.is_file() or not key.is_file():
        return "there is none"
    read = ["x509", "-in", str(certificate), "-noout"]
    # In versions before 3.2 openssl looks at one of -checkend and -checkip alone.
    named = openssl(
        command, *read, "-pubkey", "-checkip" if is_ip(address) else "-checkhost", address
    )
    lasting = openssl(command, *read, "-checkend", str(seconds))
    owned = openssl(command, "pkey", "-in", str(key), "-pubout")
    public = "-----BEGIN PUBLIC KEY-----"
    if public not in named.stdout or owned.returncode:
        return "it is unreadable"
    if owned.stdout.strip() not in named.stdout:
        return "the key belongs to another one"
    # The words, because before 3.4 the exit status says nothing about the address.
    if "does match certificate" not in named.stdout:
        return f"it is not for {address}"
    return "" if lasting.returncode == 0 else f"it {ending(seconds)}"


def ending(seconds: int) -> str:
    """Say of a certificate that it does not last for so many seconds."""
    if not seconds:
        return "has expired"
    many = seconds >= 10 * DAY_S
    return (
        f"ends in less than {seconds // (DAY_S if many else HOUR_S)} {'days' if many else 'hours'}"
    )


@dataclass(frozen=True)
class Settings:
    """What a trusted certificate is asked for with, and where it goes.

    Attributes:
        address: IP address or DNS name that it is for.
        server: URL of the ACME server's directory.
        profile: the ACME server's profile; empty: its default one.
        email: where the authority writes to; may be empty.
        ca_file: CA bundle for the connection to the server; empty: certbot's own.
        directory: what Apache mounts: `current`, a link to the pair that serves, and `webroot`.
        state: certbot's accounts, certificates and logs.
        image_folder: Dockerfile and requirements of certbot's image.
        python: tag, or tag@digest, of the image python that it is built on.
        uid: number of the user that certbot runs as.
        gid: number of the group that may read the key.
        project: Compose project of the web server.
        service: its service there.
        https_port: its port for HTTPS on this host.
    """

    address: str
    server: str
    profile: str
    email: str
    ca_file: str
    directory: str
    state: str
    image_folder: str
    python: str
    uid: int
    gid: int
    project: str
    service: str
    https_port: int

    @property
    def lineage(self) -> str:
        """What certbot calls the certificate: another server or profile has another name."""
        asked = hashlib.sha256(f"{self.server}\n{self.profile}".encode()).hexdigest()[:8]
        return f"{self.address.replace(':', '_')}-{asked}"


# The first match in certbot's words is reported: the likely cause, and what to do.
CAUSES: Sequence[tuple[str, str, str]] = (
    (
        r"rateLimited|too many (certificates|failed|new|registrations)",
        "the authority's rate limit is reached",
        "wait until the time that it names; the timer tries again by itself. For trials there is "
        "Let's Encrypt's staging server: certificate_acme_server in group_vars/all/versions.yml",
    ),
    (
        r"rejectedIdentifier|forbids issuance|reserved|private address|not a public",
        "the authority gives no certificate for this address: only for public ones",
        "set stack_address to the public address, for example stack_address: 203.0.113.7",
    ),
    (
        r"Type: +unauthorized|Invalid response from",
        "another machine or another server than this Apache answers at this address on port 80",
        "set stack_address to this host's public address; on the host: sudo ss -ltnp 'sport = :80'",
    ),
    (
        r"Type: +connection|Type: +dns|Timeout during connect|Some challenges have failed",
        "the authority does not reach port 80 of this address",
        "let everybody in: AWS console > EC2 > Security groups > inbound rule HTTP, TCP 80, "
        "0.0.0.0/0 (./lab ec2 up sets it), and webapp_http_port: 80",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLError|certificate verify failed",
        "the ACME server's own certificate is not trusted",
        "for a server of your own, name its CA: certificate_acme_ca_file: /path/to/ca.pem; else "
        "look at the host's clock: timedatectl",
    ),
    (
        r"Failed to resolve|ConnectionError|ConnectTimeout|ReadTimeout|Max retries|Errno 1[01]\d|"
        r"Service busy|InternalServerError|serverInternal|HTTP response code.? 5\d\d",
        "the ACME server does not answer",
        "on the host: curl -I {server} ; the timer tries again by itself",
    ),
    (
        r"unrecognized profile|invalidProfile|profile.*not (found|supported|listed)",
        "the ACME server has no profile of this name",
        'name one of its profiles, or none: certificate_profile: ""',
    ),
    (
        r"invalidContact|invalidEmail|contact email|unsupportedContact|forbidden domain",
        "the authority does not take the e-mail address",
        'correct it, or leave it out: certificate_email: ""',
    ),
    (
        r"accountDoesNotExist|account.*(not found|deactivated)|unable to find account",
        "the ACME server does not know the account any more",
        "forget it, a new one is made: sudo rm -r {state}/config/accounts",
    ),
)
UNKNOWN = ("", "certbot's words are all there is", "on the host: sudo tail -n 50 {log}")


def seen_in(output: str) -> str:
    """Return the line of certbot's output that says what went wrong."""
    detail = re.search(r"^ *Detail: *(.+)$", output, re.MULTILINE)
    if detail:
        return detail.group(1).strip()
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    # The last ones ask for patience and name the log.
    said = [line for line in lines if not re.match(r"Ask for help|See the logfile|Saving", line)]
    return said[-1] if said else "nothing"


def first_der(pem: str) -> bytes:
    """Return the first certificate of a chain in binary form. Raises ValueError."""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    return ssl.PEM_cert_to_DER_cert(pem[pem.index(begin) : pem.index(end) + len(end)])


def image_reference(folder: Path, python: str) -> str:
    """Return the name of certbot's image, which changes with what it is made of. Raises OSError."""
    digest = hashlib.sha256(f"{python}\0".encode())
    for path in sorted(folder.iterdir()):
        digest.update(f"{path.name}\0".encode() + path.read_bytes())
    return f"{IMAGE}:{digest.hexdigest()[:12]}"


class Docker:
    """The docker command."""

    def run(self, *arguments: str, timeout: float = DOCKER_TIMEOUT_S) -> tuple[int, str]:
        """Run docker; return its exit status, and both its outputs as one.

        Raises:
            CertificateError: there is no docker, or it does not come to an end.
        """
        try:
            done = subprocess.run(
                ["docker", *arguments],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                text=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise CertificateError(
                f"docker {arguments[0]} was not done after {timeout:.0f} s"
            ) from None
        except OSError as error:
            raise CertificateError(f"docker cannot be run: {error}") from error
        return done.returncode, done.stdout.strip()


class Keeper:
    """Keeps the trusted certificate.

    A pair is a directory of its own, `current` a link to it: so key and certificate change
    together, and in one step.
    """

    def __init__(
        self, settings: Settings, docker: Docker, openssl_command: str = "openssl"
    ) -> None:
        """Remember them; nothing is read or changed yet."""
        self.settings = settings
        self.docker = docker
        self.openssl = openssl_command
        self.directory = Path(settings.directory)
        self.link = self.directory / "current"

    # --- What is there --------------------------------------------------------------------------

    def current(self) -> str:
        """Return the name of the pair that serves, or an empty text."""
        with suppress(OSError):
            return self.link.readlink().name
        return ""

    def lifetime(self) -> int:
        """Return for how many seconds in all the certificate that serves was made; 0 if unknown."""
        read = openssl(
            self.openssl, "x509", "-in", str(self.link / CERTIFICATE), "-noout", "-dates"
        ).stdout
        dates = dict(line.split("=", 1) for line in read.splitlines() if "=" in line)
        try:
            ends = ssl.cert_time_to_seconds(dates["notAfter"])
            return ends - ssl.cert_time_to_seconds(dates["notBefore"])
        except (KeyError, ValueError):
            return 0

    def unfit(self) -> str:
        """Return why the pair cannot serve any longer, or an empty text."""
        return fault(self.openssl, self.link, self.settings.address, 0)

    def due(self) -> str:
        """Return why a certificate has to be asked for, or an empty text. Asks nobody outside."""
        # certbot renews those of less than ten days at half of their life, and others later.
        reason = fault(self.openssl, self.link, self.settings.address, self.lifetime() // 2)
        if not reason and not self.current().startswith(f"{self.settings.lineage}."):
            reason = "it was asked of another server, or with another profile"
        return reason

    def is_served(self) -> bool:
        """Say whether the web server shows the certificate of the pair."""
        try:
            wanted = first_der((self.link / CERTIFICATE).read_text())
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            with (
                socket.create_connection(("127.0.0.1", self.settings.https_port), 5) as plain,
                context.wrap_socket(plain) as wrapped,
            ):
                return wrapped.getpeercert(binary_form=True) == wanted
        except (OSError, ValueError):
            return False

    # --- What is done ---------------------------------------------------------------------------

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep the timer and a run of Ansible from working at the same time."""
        descriptor = os.open(self.settings.image_folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def keep(self, *, force: bool = False) -> bool:
        """Let certbot renew what is due, and let it serve; return whether something changed.

        Args:
            force: renew it, due or not.

        Raises:
            CertificateError: in words for the user. What served goes on serving where it is fit;
                else the self-signed certificate takes its place.
        """
        with self.alone():
            before = self.current()
            try:
                self.ask(force)
                self.take()
            except (CertificateError, OSError) as error:
                raise CertificateError(f"{error}\n{self.fall_back()}") from error
            told = self.serve()
            return told or self.current() != before

    def image(self) -> str:
        """Return the name of certbot's image, built where it is missing.

        Raises:
            CertificateError: it cannot be built.
        """
        reference = image_reference(Path(self.settings.image_folder), self.settings.python)
        if self.docker.run("image", "inspect", "--format", "-", reference)[0]:
            status, output = self.docker.run(
                "build", "--quiet", "--tag", reference,
                "--build-arg", f"PYTHON_VERSION={self.settings.python}", self.settings.image_folder,
                timeout=BUILD_TIMEOUT_S,
            )  # fmt: skip
            if status:
                raise CertificateError(
                    self.told(
                        f"certbot's image cannot be built:\n{output[-1500:]}",
                        "the base image or the package index is not reached from the host",
                        f"on the host: sudo docker pull python:{self.settings.python}; "
                        "behind a mirror set "
                        'docker_registry_mirrors: ["https://mirror.example.net"]',
                    )
                )
            self.remove_images(keep=reference)
        return reference

    def remove_images(self, keep: str = "") -> list[str]:
        """Remove certbot's images but one; return their names. Raises CertificateError."""
        _, listed = self.docker.run("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", IMAGE)
        old = [name for name in listed.split() if name.startswith(f"{IMAGE}:") and name != keep]
        if old:
            self.docker.run("image", "rm", "--force", *old)
        return old

    def ask(self, force: bool) -> None:
        """Run certbot. Raises CertificateError with the cause of its failure."""
        settings = self.settings
        image = self.image()
        self.docker.run("rm", "--force", CONTAINER)
        command = [
            "run", "--rm", "--name", CONTAINER, "--user", f"{settings.uid}:{settings.uid}",
            "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
            "--memory", "192m", "--pids-limit", "64", "--tmpfs", "/tmp",  # noqa: S108 - the container's own
            "--volume", f"{settings.state}:{settings.state}",
            "--volume", f"{settings.directory}/webroot:/webroot",
        ]  # fmt: skip
        if settings.ca_file:
            command += ["--volume", f"{settings.ca_file}:/ca.pem:ro"]
            command += ["--env", "REQUESTS_CA_BUNDLE=/ca.pem"]
        command += [
            image, "certonly", "--non-interactive", "--agree-tos", "--server", settings.server,
            "--config-dir", f"{settings.state}/config", "--work-dir", f"{settings.state}/work",
            "--logs-dir", f"{settings.state}/logs", "--max-log-backups", "20",
            "--webroot", "--webroot-path", "/webroot", "--cert-name", settings.lineage,
            "--ip-address" if is_ip(settings.address) else "--domain", settings.address,
            "--force-renewal" if force else "--keep-until-expiring",
        ]  # fmt: skip
        if settings.profile:
            # Required, not preferred: without it a server may answer with another kind.
            command += ["--required-profile", settings.profile]
        if settings.email:
            command += ["--email", settings.email]
        else:
            command += ["--register-unsafely-without-email"]
        status, output = self.docker.run(*command, timeout=CERTBOT_TIMEOUT_S)
        if status:
            _, cause, remedy = next(
                (known for known in CAUSES if re.search(known[0], output, re.IGNORECASE)), UNKNOWN
            )
            raise CertificateError(self.told(seen_in(output), cause, remedy))

    def told(self, seen: str, cause: str, remedy: str) -> str:
        """Return a failure in words."""
        settings = self.settings
        remedy = remedy.replace("{server}", settings.server).replace("{state}", settings.state)
        remedy = remedy.replace("{log}", f"{settings.state}/logs/letsencrypt.log")
        return (
            f"No trusted certificate for {settings.address} from {settings.server}.\n"
            f"   seen:  {seen}\n   cause: {cause}\n   -> {remedy}"
        )

    def take(self) -> None:
        """Make a pair of what certbot has, and let the link lead to it.

        Raises:
            CertificateError: certbot's files do not fit together.
            OSError: they cannot be read or written.
        """
        settings = self.settings
        live = Path(settings.state) / "config" / "live" / settings.lineage
        work = Path(tempfile.mkdtemp(prefix=".labstack-new-", dir=self.directory))
        try:
            for source, name, mode in (
                ("fullchain.pem", CERTIFICATE, 0o444),
                ("privkey.pem", KEY, 0o440),
            ):
                write(work / name, (live / source).read_bytes(), settings.gid, mode)
            wrong = fault(self.openssl, work, settings.address, 0)
            if wrong:
                raise CertificateError(
                    f"certbot's certificate in {live} is of no use: {wrong}.\n"
                    f"   -> sudo rm -r {settings.state}/config, and run this again"
                )
            read = ["x509", "-in", str(work / CERTIFICATE), "-noout", "-serial"]
            serial = openssl(self.openssl, *read).stdout.strip().rpartition("=")[2]
            pair = self.directory / f"{settings.lineage}.{serial}"
            if not self.unfit() and self.current() == pair.name:
                return
            os.chown(work, os.geteuid(), settings.gid)
            work.chmod(0o750)
            # Left by a run that was killed before it turned the link, or damaged.
            shutil.rmtree(pair, ignore_errors=True)
            work.rename(pair)
            self.turn(pair.name)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        self.sweep()

    def turn(self, name: str) -> None:
        """Let the link lead to a pair, in one step. Raises OSError."""
        temporary = self.directory / f".labstack-new-{os.getpid()}"
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(name)
        temporary.replace(self.link)
        sync(self.directory)

    def sweep(self) -> None:
        """Remove the pairs that serve no longer, and what killed runs left."""
        for entry in self.directory.iterdir():
            old = PAIR_NAME.fullmatch(entry.name) and entry.name != self.current()
            if old or entry.name.startswith(".labstack-new-"):
                shutil.rmtree(entry, ignore_errors=True)

    def fall_back(self) -> str:
        """Take a pair away that is of no use any longer; return what serves now, in words."""
        wrong = self.unfit()
        if not wrong:
            return "Meanwhile the certificate of before goes on serving."
        if self.remove():
            return f"Meanwhile the self-signed certificate serves: of the one before, {wrong}."
        return "Meanwhile the self-signed certificate serves."

    def remove(self) -> bool:
        """Let the self-signed certificate serve; return whether another one did.

        Raises:
            OSError: the link cannot be removed.
        """
        there = bool(self.current())
        self.link.unlink(missing_ok=True)
        self.sweep()
        if there:
            self.reload()
        return there

    def reload(self) -> bool:
        """Let the web server read its certificate again; return whether it runs.

        It answers what it has begun, and nobody's connection is refused. Raises CertificateError.
        """
        labels = {
            "com.docker.compose.project": self.settings.project,
            "com.docker.compose.service": self.settings.service,
        }
        filters = [
            word for item in labels.items() for word in ("--filter", f"label={'='.join(item)}")
        ]
        status, output = self.docker.run("ps", "--quiet", *filters)
        if status:
            raise CertificateError(f"docker ps failed: {output}")
        containers = output.split()
        if containers:
            status, output = self.docker.run("kill", "--signal", "USR1", *containers)
            if status:
                raise CertificateError(f"{self.settings.service} cannot be reloaded: {output}")
        return bool(containers)

    def serve(self) -> bool:
        """Bring the web server to serving the pair; return whether it had to be told.

        Raises:
            CertificateError: it does not serve it.
        """
        if self.is_served():
            return False
        if self.reload():
            deadline = time.monotonic() + SERVE_TIMEOUT_S
            while not self.is_served():
                if time.monotonic() > deadline:
                    raise CertificateError(
                        f"The trusted certificate is there, and port {self.settings.https_port} "
                        "shows another one.\n   -> on the host: sudo docker compose -p "
                        f"{self.settings.project} logs --tail 50 {self.settings.service}"
                    )
                # Apache reloads by itself, later; only a handshake shows what it serves.
                time.sleep(POLL_S)
        return True


def write(path: Path, content: bytes, gid: int, mode: int) -> None:
    """Write a file through to the disk. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        os.fchown(descriptor, os.geteuid(), gid)
        stream.write(content)
        stream.flush()
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)


def sync(directory: Path) -> None:
    """Bring a directory's names to the disk. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def main() -> int:
    """Run on the host: renew what is due; return the exit status."""
    parser = argparse.ArgumentParser(description="Renew the trusted certificate where it is due.")
    parser.add_argument("settings", type=Path, help="file that the role certificate has written")
    parser.add_argument("--now", action="store_true", help="renew it, due or not")
    arguments = parser.parse_args()
    keeper = Keeper(Settings(**json.loads(arguments.settings.read_text())), Docker())
    before = keeper.current()
    try:
        keeper.keep(force=arguments.now)
    except CertificateError as error:
        print(error, file=sys.stderr)
        return 1
    same = keeper.current() == before
    print(f"{keeper.current()}: {'not due yet' if same else 'renewed, and serves'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
