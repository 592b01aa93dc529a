"""`python -m testbed`: starts and removes the stand-ins, for ./lab and for Molecule."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import docker
import requests

from cli.waiting import waiting
from testbed import engine, host, images, mirror, upstream

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCK = Path(tempfile.gettempdir()) / "labstack-testbed.lock"


def _lock() -> int:
    """Returns the lock file, open for reading, which is enough to lock it: every user may."""
    while True:
        try:
            return os.open(LOCK, os.O_RDONLY)
        except FileNotFoundError:
            # Not O_CREAT on a file that is there: Linux refuses that for another user's in /tmp
            # (fs.protected_regular).
            with contextlib.suppress(FileExistsError):
                made = os.open(LOCK, os.O_RDONLY | os.O_CREAT | os.O_EXCL)
                # Whatever the umask is.
                os.fchmod(made, 0o444)
                return made


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One build at a time, whichever checkout, user or Molecule scenario asks for it."""
    lock = _lock()
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with waiting("testbed: waiting for another checkout's turn to end", sys.stderr):
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _prepare() -> tuple[docker.DockerClient, str]:
    """Starts what every lab needs; returns the engine's client and the choice of upstreams."""
    client = engine.ensure()
    source = upstream.choose()
    if source == "mirror":
        mirror.up(client)
    else:
        mirror.VARIABLES.unlink(missing_ok=True)
    return client, source


def _mirror(_: argparse.Namespace) -> None:
    with _alone():
        _prepare()


def _offer(_: argparse.Namespace) -> None:
    with _alone():
        client, source = _prepare()
        if source == "mirror":
            mirror.offer(client)


def _up(arguments: argparse.Namespace) -> None:
    size = host.Size(arguments.memory, arguments.swap, arguments.cpus)
    with _alone():
        client, source = _prepare()
        for name in arguments.hosts.split(","):
            address = host.up(client, arguments.lab, name, source, size)
            print(f"testbed: {name} is at {address} (upstreams: {source})")


def _down(arguments: argparse.Namespace) -> None:
    with _alone():
        client = engine.running()
        if not client and arguments.purge and engine.installed():
            # Only a running engine gives its images up.
            client = engine.ensure()
        if client:
            for name in host.down(client, None if arguments.all else arguments.lab):
                print(f"testbed: removed {name}")
            # The mirror and the engine serve every lab; the last one to leave turns them off.
            if not arguments.keep and not host.find(client):
                mirror.down(client)
                if arguments.purge:
                    images.purge(client)
                client.close()
                if engine.stop():
                    print("testbed: stopped the Docker Engine that the lab had started")


def _addresses(arguments: argparse.Namespace) -> None:
    client = engine.running()
    for container in host.find(client, arguments.lab) if client else []:
        if container.status == "running" and host.ours(container):
            print(container.name, host.address(container))


def _image(arguments: argparse.Namespace) -> None:
    with _alone(), contextlib.redirect_stdout(sys.stderr):
        client = engine.ensure()
        if upstream.choose() == "mirror":
            reference = mirror.upstream_image(client, arguments.name)
        else:
            reference = mirror.REGISTRY_IMAGES[arguments.name]
            client.images.pull(reference)
    print(reference)


def _requests(arguments: argparse.Namespace) -> None:
    client = engine.running()
    for line in mirror.requests(client, arguments.since) if client else []:
        print(line)


def main() -> int:
    """Runs the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="testbed", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    up = commands.add_parser("up", help="start the stand-ins that are missing")
    up.add_argument("--hosts", default="ec2", help="names, separated by commas (default: ec2)")
    up.add_argument("--memory", default=host.Size.memory)
    up.add_argument("--swap", default=host.Size.swap, help="memory and swap together")
    up.add_argument("--cpus", type=float, default=host.Size.cpus)
    up.set_defaults(run=_up)

    down = commands.add_parser("down", help="remove the hosts; with the last one, the mirror too")
    down.add_argument("--all", action="store_true", help="the hosts of every lab of this checkout")
    down.add_argument("--keep", action="store_true", help="leave the mirror and the engine running")
    down.add_argument("--purge", action="store_true", help="with the last host, the cached images")
    down.set_defaults(run=_down)

    prepare = commands.add_parser("mirror", help="start the engine and the mirror, without a host")
    prepare.set_defaults(run=_mirror)

    offer = commands.add_parser("offer", help="have the mirror serve what foreign applications use")
    offer.set_defaults(run=_offer)

    addresses = commands.add_parser("addresses", help="print each host's name and address")
    addresses.set_defaults(run=_addresses)

    for command in (up, down, addresses):
        command.add_argument(
            "--lab",
            default=os.environ.get("LABSTACK_LAB") or "lab",
            help="name of the lab (default: LABSTACK_LAB, or lab)",
        )

    image = commands.add_parser("image", help="have an upstream's image here and print its name")
    image.add_argument("name", choices=sorted(mirror.REGISTRY_IMAGES))
    image.set_defaults(run=_image)

    asked = commands.add_parser("requests", help="print the requests that the mirror answered")
    asked.add_argument("--since", type=float, default=0.0, help="seconds since the epoch")
    asked.set_defaults(run=_requests)

    arguments = parser.parse_args()
    try:
        arguments.run(arguments)
    except (engine.EngineError, images.ImageError, host.HostError, ValueError) as error:
        print(f"testbed: {error}", file=sys.stderr)
        return 1
    except (docker.errors.APIError, requests.exceptions.RequestException) as error:
        print(f"testbed: Docker Engine refused: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
