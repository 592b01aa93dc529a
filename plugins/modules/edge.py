"""Ansible module `edge`: the configuration of the web server in front, read by a reload."""

from __future__ import annotations

DOCUMENTATION = r"""
module: edge
short_description: Give the web server in front its configuration, by a reload that drops no request
version_added: "0.2.0"
author: labstack (@labstack)
description:
  - Keeps a directory that is mounted into the web server's container. What it reads at its start is
    tried first (C(httpd -t), in the container); a configuration that is not right changes nothing.
  - Where a file that it reads is newer than its last start or reload, it is told to read all again.
    It answers what it has begun with what it had read before.
  - The map of rollouts (O(map)) is made where it is missing, and left alone afterwards.
options:
  directory:
    description: The directory. Made if missing.
    type: path
    required: true
  source:
    description:
      - A directory of the host whose files it has. Without it, they stay, and only a reload may be
        due.
    type: path
  map:
    description: Name of the file in O(directory) that rollouts write.
    type: str
    default: slots.txt
  apart:
    description: Subdirectories that others write in. They are read, and never written here.
    type: list
    elements: str
    default: [apps, metrics]
  mounted:
    description: Where the container has O(directory).
    type: str
    default: /run/edge
  watched:
    description: Other files that it reads at its start, for example a certificate.
    type: list
    elements: path
    default: []
  project_name:
    description: Compose project of the web server.
    type: str
    required: true
  service:
    description: Its service there.
    type: str
    default: apache
  status_url:
    description: Its server-status, which counts the reloads. Given, the reload is waited for.
    type: str
attributes:
  check_mode:
    description: Tells what would be written, and whether a reload would follow.
    support: full
  diff_mode:
    description: RV(written) says it.
    support: none
"""

EXAMPLES = r"""
- name: Give Apache the release's configuration
  labstack.stack.edge:
    directory: /etc/labstack/edge
    source: /opt/webapp/releases/0123456789ab/edge
    watched: [/etc/labstack/tls/cert.pem, /etc/labstack/tls/key.pem]
    project_name: webapp
"""

RETURN = r"""
written:
  description: Files that are (would be) written or removed.
  returned: success
  type: list
  elements: str
reloaded:
  description: Whether the web server was (would be) told to read them.
  returned: success
  type: bool
"""

import datetime
import http.client
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.containers import (
    Container,
    Engine,
    EngineError,
    alone,
)
from ..module_utils.host_files import (
    Attributes,
    make_directory,
    replace,
    sweep,
    temporary_path,
    write_temporary,
)

CONFIGURATION = "httpd.conf"
# When the web server was last told; the file's time says it.
TOLD = ".reloaded"
RELOAD_TIMEOUT_S = 20.0
POLL_S = 0.1


class EdgeError(Exception):
    """The configuration is not right, and stays as it was. The message says why."""


class Edge:
    """The directory, and the container that reads it."""

    def __init__(
        self, directory: Path, source: Path | None, map_name: str, apart: list[str]
    ) -> None:
        """Name the directory, where its files come from, and what in it is others'."""
        self.directory = directory
        self.source = source
        self.map = map_name
        self.apart = apart

    def is_read_by(self, container: Container, mounted: str) -> bool:
        """Whether a container runs and has the directory; that of an earlier release has not."""
        here = (str(self.directory), mounted)
        mounts = [(one.get("Source"), one["Destination"]) for one in container.facts["Mounts"]]
        return container.running and here in mounts

    def wanted(self) -> dict[str, bytes]:
        """Return the files that the directory should have, by their names in it. Raises OSError."""
        if self.source is None:
            return {}
        if not (self.source / CONFIGURATION).is_file():
            raise EdgeError(f"{self.source} has no {CONFIGURATION}")
        found = {
            str(path.relative_to(self.source)): path.read_bytes()
            for path in sorted(self.source.rglob("*"))
            if path.is_file()
        }
        return {
            name: content
            for name, content in found.items()
            if Path(name).parts[0] not in self.apart
            and (name != self.map or not (self.directory / self.map).exists())
        }

    def differences(self, wanted: dict[str, bytes]) -> tuple[list[str], list[str]]:
        """Return the files to be written, and those to be removed. Raises OSError."""
        if self.source is None:
            return [], []
        write = []
        for name, content in wanted.items():
            path = self.directory / name
            if not path.is_file() or path.read_bytes() != content:
                write.append(name)
        remove = [
            name
            for name in self.present()
            if name not in wanted and name != self.map and Path(name).parts[0] not in self.apart
        ]
        return write, remove

    def present(self) -> list[str]:
        """Return the files that are there, without those of this module. Raises OSError."""
        if not self.directory.is_dir():
            return []
        return [
            str(path.relative_to(self.directory))
            for path in sorted(self.directory.rglob("*"))
            if path.is_file() and not path.relative_to(self.directory).parts[0].startswith(".")
        ]

    def try_out(
        self, engine: Engine, container: Container, mounted: str, wanted: dict[str, bytes]
    ) -> None:
        """Let the web server read a copy that has the new files.

        Raises:
            EdgeError: it cannot be read.
            EngineError: the engine does not answer.
            OSError: it cannot be written.
        """
        copy = temporary_path(self.directory)
        copy.mkdir(mode=0o755)
        try:
            copy.chmod(0o755)
            everything = dict(wanted)
            for name in self.present():
                if name == self.map or Path(name).parts[0] in self.apart or self.source is None:
                    everything[name] = (self.directory / name).read_bytes()
            for name, content in everything.items():
                path = copy / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            for path in copy.rglob("*"):
                path.chmod(0o755 if path.is_dir() else 0o644)
            place = f"{mounted}/{copy.name}"
            status, output, complaint = engine.try_run(
                "exec", "--env", f"EDGE={place}", container.id,
                "httpd", "-t", "-f", f"{place}/{CONFIGURATION}",
            )  # fmt: skip
        finally:
            shutil.rmtree(copy, ignore_errors=True)
        if status:
            said = (complaint + output).replace(f"/{copy.name}", "").strip()
            raise EdgeError(
                f"Apache cannot read the new configuration, so it stays as it was:\n{said}"
            )

    def settle(self, wanted: dict[str, bytes], write: list[str], remove: list[str]) -> None:
        """Write and remove files, each in one step. Raises OSError."""
        for name in write:
            path = self.directory / name
            if not path.parent.is_dir():
                make_directory(path.parent, Attributes.own(0o755))
            replace(write_temporary(path.parent, [wanted[name]], Attributes.own(0o644)), path)
        for name in remove:
            (self.directory / name).unlink()
            with suppress(OSError):
                (self.directory / name).parent.rmdir()

    def changed_at(self, watched: list[Path]) -> float:
        """Return when what is read at a start was last changed, as a time since the epoch."""
        read = [self.directory / CONFIGURATION, *watched]
        for name in self.apart:
            read += [self.directory / name, *(self.directory / name).glob("*.conf")]
        return max((path.stat().st_mtime for path in read if path.exists()), default=0.0)

    def told_at(self, container: Container) -> float:
        """Return when the web server last read it all, as a time since the epoch."""
        # In UTC; Python 3.10 reads no nanoseconds.
        started, _, fraction = str(container.facts["State"]["StartedAt"]).rstrip("Z").partition(".")
        began = datetime.datetime.fromisoformat(started).replace(tzinfo=datetime.timezone.utc)
        moment = began.timestamp() + float(f"0.{fraction or 0}")
        with suppress(FileNotFoundError):
            return max(moment, (self.directory / TOLD).stat().st_mtime)
        return moment


def generation(url: str) -> int:
    """Return how often the web server has read its configuration; -1 where it does not say."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=5)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}")
        lines = connection.getresponse().read().decode(errors="replace").splitlines()
    except (OSError, http.client.HTTPException):
        return -1
    finally:
        connection.close()
    for line in lines:
        name, _, value = line.partition(": ")
        if name == "ParentServerConfigGeneration" and value.isdigit():
            return int(value)
    return -1


def reload(engine: Engine, container: Container, url: str | None) -> None:
    """Let the web server read its configuration again, and wait for it where it says so.

    Raises:
        EdgeError: it does not.
        EngineError: the engine does not answer.
    """
    before = generation(url) if url else -1
    engine.run("kill", "--signal", "USR1", container.id)
    deadline = time.monotonic() + RELOAD_TIMEOUT_S
    while url and before >= 0 and generation(url) <= before:
        if time.monotonic() > deadline:
            raise EdgeError(
                f"Apache was told to read its configuration, and has not after "
                f"{RELOAD_TIMEOUT_S:.0f} s.\n{engine.log(container)[-1500:]}"
            )
        # It reloads by itself, later; only the count shows it.
        time.sleep(POLL_S)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "source": {"type": "path"},
            "map": {"default": "slots.txt"},
            "apart": {"type": "list", "elements": "str", "default": ["apps", "metrics"]},
            "mounted": {"default": "/run/edge"},
            "watched": {"type": "list", "elements": "path", "default": []},
            "project_name": {"required": True},
            "service": {"default": "apache"},
            "status_url": {},
        },
        supports_check_mode=True,
    )
    given = module.params
    edge = Edge(
        Path(given["directory"]),
        Path(given["source"]) if given["source"] else None,
        given["map"],
        given["apart"],
    )
    watched = [Path(path) for path in given["watched"]]
    command = module.get_bin_path("docker")
    try:
        container = None
        if command:
            engine = Engine(command)
            found = engine.containers(given["project_name"], given["service"])
            container = next((one for one in found if edge.is_read_by(one, given["mounted"])), None)
        if module.check_mode:
            write, remove = edge.differences(edge.wanted())
            due = container and (
                bool(write or remove) or edge.changed_at(watched) > edge.told_at(container)
            )
            module.exit_json(
                changed=bool(write or remove or due), written=write + remove, reloaded=bool(due)
            )
        # A source that is not right makes no directory.
        edge.wanted()
        # A rollout sweeps the directory too, and would take the copy that is tried.
        with alone(edge.directory):
            sweep(edge.directory)
            wanted = edge.wanted()
            write, remove = edge.differences(wanted)
            due = False
            if container and (write or remove):
                edge.try_out(engine, container, given["mounted"], wanted)
            edge.settle(wanted, write, remove)
            if container and edge.changed_at(watched) > edge.told_at(container):
                if not (write or remove):
                    edge.try_out(engine, container, given["mounted"], wanted)
                # What is written from now on may be read or not: the next run tells it again.
                moment = time.time()
                reload(engine, container, given["status_url"])
                told = edge.directory / TOLD
                told.touch()
                os.utime(told, (moment, moment))
                due = True
        module.exit_json(changed=bool(write or remove or due), written=write + remove, reloaded=due)
    except (EdgeError, EngineError, OSError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
