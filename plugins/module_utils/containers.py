"""The engine's command line, as the modules that work with containers need it."""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .host_files import Attributes, make_directory

# An engine under load answers within this; what takes longer (a stop) says so itself.
TIMEOUT_S = 120.0
LOG_LINES = 40
PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
HASH = "com.docker.compose.config-hash"
IMAGE = "com.docker.compose.image"
ONE_OFF = "com.docker.compose.oneoff"
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class EngineError(Exception):
    """A command of the engine failed. The message has what it said."""


@dataclass(frozen=True)
class Container:
    """A container as `docker inspect` describes it.

    Attributes:
        facts: the whole description.
    """

    facts: dict[str, Any]

    @property
    def id(self) -> str:
        """Its number, whole."""
        return str(self.facts["Id"])

    @property
    def name(self) -> str:
        """Its name, without the slash."""
        return str(self.facts["Name"]).lstrip("/")

    @property
    def labels(self) -> dict[str, str]:
        """What Compose has noted on it, and others."""
        return dict(self.facts["Config"].get("Labels") or {})

    @property
    def running(self) -> bool:
        """Whether its program runs, and the engine is not about to start it again."""
        state = self.facts["State"]
        return bool(state["Running"]) and not state.get("Restarting")

    @property
    def health(self) -> str:
        """healthy, unhealthy or starting; empty where it has no check."""
        return str((self.facts["State"].get("Health") or {}).get("Status", ""))

    @property
    def well(self) -> bool:
        """Whether it runs, and its check (where it has one) has passed."""
        return self.running and self.health in ("", "none", "healthy")

    @property
    def address(self) -> str:
        """An address at which the host itself reaches it; empty without one."""
        networks = self.facts["NetworkSettings"]["Networks"].values()
        return next((str(one["IPAddress"]) for one in networks if one.get("IPAddress")), "")

    def address_by(self, alias: str) -> str:
        """Return its address on the network where it has an alias; any where it has it nowhere."""
        for one in self.facts["NetworkSettings"]["Networks"].values():
            if alias in (one.get("Aliases") or []) and one.get("IPAddress"):
                return str(one["IPAddress"])
        return self.address

    def state(self) -> str:
        """Say what became of it: whether it was killed for memory, its exit status, its check."""
        state = self.facts["State"]
        words = [str(state["Status"])]
        if state.get("OOMKilled"):
            limit = int(self.facts["HostConfig"].get("Memory") or 0) // 2**20
            words.append(f"killed because it reached its memory limit of {limit} MiB (OOM)")
        if not state["Running"] or state.get("Restarting"):
            words.append(f"exit code {state['ExitCode']}")
        if self.facts.get("RestartCount"):
            words.append(f"restarted {self.facts['RestartCount']} times")
        if state.get("Error"):
            words.append(str(state["Error"]))
        if self.health:
            words.append(f"health: {self.health}")
        log = (state.get("Health") or {}).get("Log") or []
        if log and not self.well:
            said = " ".join(str(log[-1].get("Output", "")).split())[-500:]
            words.append(f"its last check said: {said or 'nothing'}")
        return "; ".join(words)


class Engine:
    """Docker, and Compose for one project where it is told which."""

    def __init__(self, command: str = "docker") -> None:
        """Take the path of the command."""
        self.command = command

    def try_run(
        self, *arguments: str, timeout: float = TIMEOUT_S, cwd: str = "/", text: str = ""
    ) -> tuple[int, str, str]:
        """Run a command with a text as its input; return its exit status, output and complaint.

        Raises:
            EngineError: it does not end in `timeout` seconds.
        """
        try:
            done = subprocess.run(
                [self.command, *arguments],
                cwd=cwd,
                input=text,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise EngineError(
                f"docker {' '.join(arguments)} does not end within {timeout:.0f} s"
            ) from error
        return done.returncode, done.stdout, _COLOURS.sub("", done.stderr)

    def run(
        self, *arguments: str, timeout: float = TIMEOUT_S, cwd: str = "/", text: str = ""
    ) -> str:
        """Run a command; return its output. Raises EngineError where it fails."""
        status, output, complaint = self.try_run(*arguments, timeout=timeout, cwd=cwd, text=text)
        if status:
            said = complaint.strip() or output.strip() or f"exit status {status}"
            raise EngineError(f"docker {' '.join(arguments[:3])}: {said}")
        return output

    def containers(self, project: str, service: str = "") -> list[Container]:
        """Return a project's containers, or those of one of its services, the oldest first.

        Raises:
            EngineError: the engine does not answer.
        """
        filters = [f"label={PROJECT}={project}", f"label={ONE_OFF}=False"]
        if service:
            filters.append(f"label={SERVICE}={service}")
        words = [word for one in filters for word in ("--filter", one)]
        numbers = self.run("ps", "--all", "--quiet", "--no-trunc", *words).split()
        found = self.inspect(*numbers)
        return sorted(found, key=lambda container: str(container.facts["Created"]))

    def inspect(self, *names: str) -> list[Container]:
        """Return the containers of those that are there. Raises EngineError."""
        if not names:
            return []
        status, output, complaint = self.try_run("container", "inspect", *names)
        # One that went away in between is not there; the others are described all the same.
        if status and "no such container" not in complaint.lower():
            raise EngineError(f"docker inspect: {complaint.strip()}")
        return [Container(facts) for facts in json.loads(output or "[]")]

    def image(self, name: str) -> str:
        """Return the number of an image; empty where it is not there."""
        status, output, _ = self.try_run("image", "inspect", "--format", "{{.Id}}", name)
        return "" if status else output.strip()

    def log(self, container: Container) -> str:
        """Return the last lines that a container has said."""
        _, output, complaint = self.try_run("logs", "--tail", str(LOG_LINES), container.id)
        return _COLOURS.sub("", output + complaint).strip()


class Project:
    """A Compose project on the host."""

    def __init__(self, engine: Engine, name: str, source: Path, files: list[str]) -> None:
        """Name the project, the directory of its files, and the files (none: Compose's own)."""
        self.engine = engine
        self.name = name
        self.source = source
        self._prefix = ["compose", "--ansi", "never", "--project-name", name]
        for file in files:
            self._prefix += ["--file", file]

    def run(self, *arguments: str, timeout: float = TIMEOUT_S) -> str:
        """Run a command of Compose; return its output. Raises EngineError."""
        return self.engine.run(*self._prefix, *arguments, timeout=timeout, cwd=str(self.source))

    def config(self) -> dict[str, Any]:
        """Return the project as Compose reads it. Raises EngineError: its files are not right."""
        found: dict[str, Any] = json.loads(self.run("config", "--format", "json"))
        return found

    def hashes(self) -> dict[str, str]:
        """Return what `up` notes on a container of each service: it stands for its settings.

        Raises:
            EngineError: the project's files are not right.
        """
        return _pairs(self.run("config", "--hash", "*"))

    def hashes_alone(self, config: dict[str, Any]) -> dict[str, str]:
        """Return what `up --no-deps` notes: such a container depends on nothing.

        Args:
            config: what `config` returns.

        Raises:
            EngineError: Compose does not answer.
        """
        services = {
            name: {key: value for key, value in service.items() if key != "depends_on"}
            for name, service in config["services"].items()
        }
        return _pairs(
            self.engine.run(
                "compose", "--ansi", "never", "--project-name", self.name, "--project-directory",
                str(self.source), "--file", "-", "config", "--hash", "*",
                cwd=str(self.source), text=json.dumps({**config, "services": services}),
            )
        )  # fmt: skip


def _pairs(output: str) -> dict[str, str]:
    """Return the services and hashes of `config --hash`."""
    found = (line.split() for line in output.splitlines())
    return {words[0]: words[1] for words in found if len(words) == 2}


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Let nobody else change what the web server reads; the kernel frees a killed run's lock.

    Makes the directory if it is missing. Raises OSError.
    """
    if not directory.is_dir():
        make_directory(directory, Attributes.own(0o755))
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
