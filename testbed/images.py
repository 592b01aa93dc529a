"""Docker images made from recipes, cached by the recipe's content.

An image's tag is the digest of everything that goes into it: its folder, its build arguments, and
the tag of the image below. The same recipe is never built twice; a changed one always is.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import docker

from cli.waiting import waiting

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HERE = Path(__file__).parent
CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


class ImageError(RuntimeError):
    """An image could not be built; the message holds the end of the build's output."""


def _files(folder: Path) -> Iterator[Path]:
    return (
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    )


def _add(archive: tarfile.TarFile, contents: Mapping[str, bytes]) -> None:
    for name, content in contents.items():
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))


def archive(contents: Mapping[str, bytes]) -> bytes:
    """A tar archive of these files: name -> content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as made:
        _add(made, contents)
    return buffer.getvalue()


@dataclass(frozen=True)
class Recipe:
    """A folder with a Dockerfile, and what it is built with.

    Attributes:
        name: repository of the image, e.g. "labstack/host".
        folder: build context.
        args: Dockerfile ARGs.
        extra: files added to the context: name in the context -> content.
    """

    name: str
    folder: Path
    args: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def reference(self) -> str:
        """The image's name and content tag, e.g. "labstack/host:3f2a9c01d4b7"."""
        digest = hashlib.sha256()
        for path in _files(self.folder):
            digest.update(
                f"{path.relative_to(self.folder)}\0{path.stat().st_mode & 0o111}\0".encode()
            )
            digest.update(path.read_bytes())
        for key, value in sorted(self.args.items()):
            digest.update(f"{key}={value}\0".encode())
        for name, content in sorted(self.extra.items()):
            digest.update(f"{name}\0".encode() + content)
        return f"{self.name}:{digest.hexdigest()[:12]}"

    def context(self) -> io.BytesIO:
        """The build context as a tar archive."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for path in _files(self.folder):
                archive.add(path, arcname=str(path.relative_to(self.folder)))
            _add(archive, self.extra)
        buffer.seek(0)
        return buffer

    def ensure(self, client: docker.DockerClient) -> str:
        """Builds the image where it is missing; returns its reference. Raises ImageError."""
        reference = self.reference
        if exists(client, reference):
            return reference
        try:
            with waiting(f"testbed: building {reference}"):
                client.images.build(
                    fileobj=self.context(),
                    custom_context=True,
                    tag=reference,
                    buildargs=dict(self.args),
                    network_mode="host",
                    rm=True,
                    forcerm=True,
                )
        except docker.errors.BuildError as error:
            output = "".join(str(line.get("stream", "")) for line in error.build_log)
            raise ImageError(f"{reference}: {error}\n{output[-3000:]}") from error
        return reference


def exists(client: docker.DockerClient, reference: str) -> bool:
    """Whether the engine has the image."""
    try:
        client.images.get(reference)
    except docker.errors.ImageNotFound:
        return False
    return True


def purge(client: docker.DockerClient) -> None:
    """Removes every image that the testbed has made."""
    for image in client.images.list():
        for tag in image.tags:
            if tag.startswith("labstack/"):
                client.images.remove(tag, force=True)


def debian(client: docker.DockerClient, suite: str = "trixie") -> str:
    """A minimal Debian image, made by mmdebstrap from the machine's own package mirror.

    Returns its reference. Raises ImageError.
    """
    reference = f"labstack/debian:{suite}"
    if exists(client, reference):
        return reference
    with waiting(f"testbed: bootstrapping {reference}"), tempfile.TemporaryDirectory() as scratch:
        if not shutil.which("mmdebstrap"):
            # Their output is dozens of lines that say nothing; what counts is whether it is there.
            for command in (["update"], ["install", "-y", "mmdebstrap"]):
                subprocess.run(["apt-get", "-qq", *command], capture_output=True, check=False)
        root = Path(scratch) / "root.tar"
        command = ["mmdebstrap", "--variant=minbase", "--include=ca-certificates", suite, str(root)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError as error:
            raise ImageError(
                "mmdebstrap is missing and apt-get could not install it. On another system than\n"
                "Debian or Ubuntu use the real upstreams: TESTBED_UPSTREAM=internet ./lab up"
            ) from error
        if done.returncode != 0:
            raise ImageError(f"`{' '.join(command)}` failed:\n{done.stderr[-2000:]}")
        client.api.import_image_from_file(str(root), repository="labstack/debian", tag=suite)
    return reference


def machine_ca() -> bytes:
    """The machine's CA bundle (PEM): what leaves through a proxy is signed by its authority."""
    return CA_BUNDLE.read_bytes() if CA_BUNDLE.exists() else b""
