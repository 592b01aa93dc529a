"""The mirror: one container that serves what the stack's upstreams serve.

It listens on the Docker bridge's own address only, so that stand-in hosts reach it and nobody else.
What it has (versions and checksums differ from production's) it writes into the lab inventory's
variables.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import yaml

from cli.waiting import waiting
from testbed import images

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "labstack-mirror"
REGISTRY_PORT = 5080
HTTP_PORT = 8081
ROOT = Path(__file__).resolve().parent.parent
VARIABLES = ROOT / "inventory/lab/group_vars/lab/upstreams.yml"
START_TIMEOUT = 30.0  # seconds
# The upstream's JSON, where this machine has it; else a small stand-in of the same shape.
DASHBOARD = Path(
    os.environ.get(
        "TESTBED_DASHBOARD_1860", ROOT.parent / "shared/dashboards/node-exporter-full.json"
    )
)
DASHBOARD_STAND_IN = Path(__file__).parent / "mirror/dashboard-1860-stand-in.json"
REGISTRY_IMAGES = {"python": "python:3.13-slim", "httpd": "httpd:2.4", "mysql": "mysql:9.7"}
# What only foreign applications are built on. A running mirror gets them where a test asks;
# no lab pays for them.
OFFERS = {"php": "php:8.4-apache", "mysql": "mysql:9"}
REGISTRY = "/var/lib/registry"


def bridge_address(config: dict[str, str]) -> str:
    """The bridge's own address, from an entry of its IPAM configuration."""
    # Older engines leave the gateway out; it is the subnet's first address then.
    return config.get("Gateway") or str(next(ipaddress.ip_network(config["Subnet"]).hosts()))


def gateway(client: docker.DockerClient) -> str:
    """The address of the Docker bridge on this machine, e.g. "172.17.0.1"."""
    return bridge_address(client.networks.get("bridge").attrs["IPAM"]["Config"][0])


def _versions() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "group_vars/all/versions.yml").read_text())
    return loaded


def _pip_configuration() -> bytes:
    """An /etc/pip.conf that uses this machine's package index, where it names one of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", "global.index-url"],
        capture_output=True,
        text=True,
        check=False,
    )
    url = done.stdout.strip() or os.environ.get("PIP_INDEX_URL", "")
    return f"[global]\nindex-url = {url}\n".encode() if url else b""


def dashboard() -> bytes:
    """The JSON that the mirror serves as dashboard 1860."""
    return (DASHBOARD if DASHBOARD.exists() else DASHBOARD_STAND_IN).read_bytes()


def _registry_recipes(debian: str) -> dict[str, images.Recipe]:
    ca = images.machine_ca()
    folder = Path(__file__).parent / "mirror/images"
    extra = {"python": {"ca-certificates.crt": ca, "pip.conf": _pip_configuration()}}
    return {
        short: images.Recipe(
            f"labstack/upstream-{short}", folder / short, {"DEBIAN": debian}, extra.get(short, {})
        )
        for short in REGISTRY_IMAGES
    }


def static_recipe(debian: str) -> images.Recipe:
    """The mirror without the registry's images, on that Debian image."""
    args = {"DEBIAN": debian, "GRAFANA_VERSION": str(_versions()["grafana_version"])}
    return images.Recipe("labstack/mirror-static", Path(__file__).parent / "mirror", args)


def _image(client: docker.DockerClient) -> str:
    """Builds the mirror with its three registry images inside; returns its reference."""
    debian = images.debian(client)
    static = static_recipe(debian)
    recipes = _registry_recipes(debian)
    identity = [static.reference, *(recipe.reference for recipe in recipes.values())]
    reference = f"labstack/mirror:{hashlib.sha256(' '.join(identity).encode()).hexdigest()[:12]}"
    if images.exists(client, reference):
        return reference
    static.ensure(client)
    built = {short: recipe.ensure(client) for short, recipe in recipes.items()}
    with waiting(f"testbed: filling {reference}"):
        _fill(client, static.reference, built, reference)
    return reference


def _fill(client: docker.DockerClient, static: str, built: dict[str, str], reference: str) -> None:
    """Puts the built images into the registry of a mirror, and keeps that as an image."""
    container = client.containers.run(static, detach=True, ports={"5000/tcp": ("127.0.0.1", 0)})
    try:
        _push(client, container, {built[short]: name for short, name in REGISTRY_IMAGES.items()})
        repository, tag = reference.split(":")
        container.commit(repository, tag)
    finally:
        container.remove(force=True)


def upstream_image(client: docker.DockerClient, short: str) -> str:
    """The image behind the mirror's "python", "httpd" or "mysql", on this machine's engine."""
    return _registry_recipes(images.debian(client))[short].ensure(client)


def _push(client: docker.DockerClient, container: Any, names: Mapping[str, str]) -> None:
    """Pushes images into the registry of a container that publishes it on the loopback.

    Args:
        client: the engine.
        container: publishes port 5000.
        names: the image here -> its name on Docker Hub.

    Raises:
        images.ImageError: the registry does not answer, or refuses one.
    """
    container.reload()
    port = container.ports["5000/tcp"][0]["HostPort"]
    _wait(f"http://127.0.0.1:{port}/v2/", container)
    for image, name in names.items():
        repository, tag = name.split(":")
        target = f"127.0.0.1:{port}/library/{repository}"
        client.images.get(image).tag(target, tag)
        for line in client.images.push(target, tag, stream=True, decode=True):
            if "error" in line:
                raise images.ImageError(f"pushing {name} to the mirror failed: {line['error']}")
        client.images.remove(f"{target}:{tag}", noprune=True)


def offer(client: docker.DockerClient) -> None:
    """Has the running mirror serve the images of OFFERS too. Raises images.ImageError."""
    debian = images.debian(client)
    folder = Path(__file__).parent / "offers"
    arguments = {"php": {"DEBIAN": debian}, "mysql": {"MYSQL": upstream_image(client, "mysql")}}
    recipes = {
        short: images.Recipe(f"labstack/offer-{short}", folder / short, arguments[short])
        for short in OFFERS
    }
    names = {recipe.ensure(client): OFFERS[short] for short, recipe in recipes.items()}
    container = _find(client)
    # One layer a digest, so what is there already stays what it is.
    scratch = client.containers.run(
        static_recipe(debian).ensure(client), detach=True, ports={"5000/tcp": ("127.0.0.1", 0)}
    )
    try:
        _push(client, scratch, names)
        with tempfile.TemporaryFile() as file:
            for block in scratch.get_archive(f"{REGISTRY}/docker")[0]:
                file.write(block)
            file.seek(0)
            container.put_archive(REGISTRY, file)
    finally:
        scratch.remove(force=True, v=True)


def _wait(url: str, container: Any) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - http, the mirror's
                return
        except (urllib.error.URLError, OSError) as error:
            if time.monotonic() > deadline:
                log = container.logs(tail=20).decode(errors="replace")
                raise images.ImageError(
                    f"the mirror does not answer at {url}: {error}\n{log}"
                ) from error
            # Only asking again shows that it listens.
            time.sleep(0.1)


def up(client: docker.DockerClient) -> None:
    """Starts the mirror where it does not run yet, and writes the lab's variables."""
    reference = _image(client)
    address = gateway(client)
    container = _find(client)
    if container and reference not in container.image.tags:
        container.remove(force=True)
        container = None
    if not container:
        container = client.containers.run(
            reference,
            name=NAME,
            detach=True,
            ports={"5000/tcp": (address, REGISTRY_PORT), "8080/tcp": (address, HTTP_PORT)},
            labels={"labstack.mirror": "true"},
        )
    elif container.status != "running":
        container.start()
    _wait(f"http://{address}:{HTTP_PORT}/releases.txt", container)
    _wait(f"http://{address}:{REGISTRY_PORT}/v2/", container)
    put_dashboard(container)
    _write_variables(address)


def _dashboards() -> str:
    """Where this checkout's dashboard is on the mirror, which others share."""
    return f"dashboards/{hashlib.sha256(dashboard()).hexdigest()[:12]}"


def put_dashboard(container: Any) -> None:
    """Has the mirror serve this checkout's dashboard at the path that grafana.com has for it."""
    wanted = _versions()["grafana_imported_dashboards"][0]
    path = f"api/dashboards/{wanted['id']}/revisions/{wanted['revision']}/download"
    container.put_archive("/srv", images.archive({f"{_dashboards()}/{path}": dashboard()}))


def _write_variables(address: str) -> None:
    base = f"http://{address}:{HTTP_PORT}"
    with urllib.request.urlopen(f"{base}/releases.txt", timeout=10) as answer:  # noqa: S310 - http
        releases = [line.split() for line in answer.read().decode().splitlines()]
    versions = _versions()
    variables: dict[str, Any] = {
        "stack_release_base_url": base,
        "stack_dashboard_base_url": f"{base}/{_dashboards()}",
        "grafana_apt_url": f"{base}/apt",
        "grafana_apt_key_url": f"{base}/apt/gpg-full.key",
        "docker_registry_mirrors": [f"http://{address}:{REGISTRY_PORT}"],
        "grafana_imported_dashboards": [
            {
                **versions["grafana_imported_dashboards"][0],
                "sha256": hashlib.sha256(dashboard()).hexdigest(),
            }
        ],
    }
    for name in REGISTRY_IMAGES.values():
        repository, tag = name.split(":")
        # Other images than Docker Hub's, so without its digests.
        variables |= {f"webapp_{repository}_tag": tag, f"webapp_{repository}_digest": ""}
    for component, version, architecture, checksum in releases:
        variables |= {
            f"{component}_version": version,
            f"{component}_checksums": {architecture: checksum},
        }
    text = "# Written by the testbed: what its mirror has. Not for production.\n" + yaml.safe_dump(
        variables, sort_keys=False
    )
    VARIABLES.parent.mkdir(parents=True, exist_ok=True)
    if not VARIABLES.exists() or VARIABLES.read_text() != text:
        VARIABLES.write_text(text)


def _find(client: docker.DockerClient) -> Any:
    try:
        return client.containers.get(NAME)
    except docker.errors.NotFound:
        return None


def down(client: docker.DockerClient) -> None:
    """Removes the mirror and the variables that point at it."""
    container = _find(client)
    if container:
        container.remove(force=True, v=True)
    VARIABLES.unlink(missing_ok=True)


def requests(client: docker.DockerClient, since: float = 0.0) -> list[str]:
    """The requests that the mirror has answered since that time (seconds since the epoch).

    Returns a list like ["GET /apt/dists/stable/InRelease", "GET /v2/library/python/manifests/..."].
    """
    container = _find(client)
    if not container:
        return []
    log: bytes = container.logs(since=since) if since else container.logs()
    return parse_log(log.decode(errors="replace"))


def parse_log(log: str) -> list[str]:
    """The requests in the log of the mirror's two servers, without the testbed's own probes."""
    found = re.findall(r'\] "(\S+ \S+) HTTP/', log)
    return [entry for entry in found if entry not in ("GET /v2/", "GET /releases.txt")]
