"""An ACME server for tests: Let's Encrypt's pebble, which validates as Let's Encrypt does."""

from __future__ import annotations

import ssl
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed import host, images

if TYPE_CHECKING:
    import docker

START_TIMEOUT = 20.0  # seconds


class Pebble:
    """A running server on the Docker bridge. It forgets everything when it stops.

    Attributes:
        url: address of its directory.
        ca: the certificate of the server itself (PEM), which a client has to trust.
        root: the root of the certificates that it issues (PEM).
    """

    def __init__(self, client: docker.DockerClient, name: str, upstream: str) -> None:
        """Starts the server as container `name`, anew where there is one.

        Args:
            client: the engine.
            name: name of the container.
            upstream: "internet" or "mirror", as testbed.upstream.choose says.

        Raises:
            images.ImageError: the image cannot be built, or the server does not answer.
        """
        args = {} if upstream == "internet" else {"DEBIAN": images.debian(client)}
        recipe = images.Recipe("labstack/pebble", Path(__file__).parent / "pebble", args)
        reference = recipe.ensure(client)
        for old in client.containers.list(
            all=True, filters={"name": f"^{name}$"}, ignore_removed=True
        ):
            old.remove(force=True)
        self._container: Any = client.containers.run(reference, name=name, detach=True)
        self._container.reload()
        address = host.address(self._container)
        self.url = f"https://{address}:14000/dir"
        deadline = time.monotonic() + START_TIMEOUT
        while "ACME directory available" not in (log := self.log()):
            if time.monotonic() > deadline:
                raise images.ImageError(f"pebble did not start:\n{log}")
            # Only its log tells that it listens.
            time.sleep(0.1)
        output: Any = self._container.exec_run(["cat", "/run/pebble.pem"]).output
        self.ca: str = bytes(output).decode()
        context = ssl.create_default_context(cadata=self.ca)
        roots = f"https://{address}:15000/roots/0"
        with urllib.request.urlopen(roots, context=context, timeout=5) as answer:
            self.root: str = answer.read().decode()

    def log(self) -> str:
        """What the server has said so far."""
        return str(self._container.logs().decode(errors="replace"))

    def stop(self) -> None:
        """Takes the server away; nobody answers at its address any more."""
        self._container.stop(timeout=1)

    def remove(self) -> None:
        """Removes the container."""
        self._container.remove(force=True)
