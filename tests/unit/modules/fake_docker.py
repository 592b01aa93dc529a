"""Stands in for docker: certbot in it makes a certificate, a signal lets the web server read it.

$FAKE_DOCKER is a directory:

calls     what was asked for, a line each
says      what certbot says, where it is to fail
image     there once the image is built
refuses   the docker command that fails
running   the web server's container runs
trusted   the directory that the web server mounts; `shown` is what it has read
"""

import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

DIRECTORY = Path(os.environ["FAKE_DOCKER"])


def option(name: str) -> str:
    return sys.argv[sys.argv.index(name) + 1]


def certbot() -> None:
    if (DIRECTORY / "says").exists():
        sys.exit((DIRECTORY / "says").read_text())
    live = Path(option("--config-dir")) / "live" / option("--cert-name")
    if (live / "privkey.pem").exists() and "--keep-until-expiring" in sys.argv:
        return
    live.mkdir(parents=True, exist_ok=True)
    kind = "IP" if "--ip-address" in sys.argv else "DNS"
    address = option("--ip-address" if kind == "IP" else "--domain")
    subprocess.run(
        [
            "openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:prime256v1", "-subj", "/CN=x", "-days", "7",
            "-set_serial", str(secrets.randbits(60)), "-addext", f"subjectAltName={kind}:{address}",
            "-keyout", live / "privkey.pem", "-out", live / "fullchain.pem",
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip


def main() -> None:
    verb = sys.argv[1]
    with (DIRECTORY / "calls").open("a") as calls:
        calls.write(" ".join(sys.argv[1:]) + "\n")
    if (DIRECTORY / "refuses").exists() and (DIRECTORY / "refuses").read_text() == verb:
        sys.exit(f"docker {verb}: refused")
    if verb == "image" and sys.argv[2] == "inspect":
        sys.exit(0 if (DIRECTORY / "image").exists() else 1)
    if verb == "image" and sys.argv[2] == "ls" and (DIRECTORY / "image").exists():
        print((DIRECTORY / "image").read_text())
    if verb == "image" and sys.argv[2] == "rm":
        (DIRECTORY / "image").unlink()
    if verb == "build":
        (DIRECTORY / "image").write_text(option("--tag"))
    if verb == "run":
        certbot()
    if verb == "ps" and (DIRECTORY / "running").exists():
        print("0123456789ab")
    if verb == "kill":
        shutil.rmtree(DIRECTORY / "shown", ignore_errors=True)
        pair = Path((DIRECTORY / "trusted").read_text()) / "current"
        if pair.exists():
            shutil.copytree(pair, DIRECTORY / "shown")


main()
