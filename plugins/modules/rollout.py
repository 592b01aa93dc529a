"""Ansible module `rollout`: a new container beside the old one, and a map that names one."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout
short_description: Replace the container of a Compose service without a failed request
version_added: "0.2.0"
author: labstack (@labstack)
description:
  - Starts a second container of the service from the project's files as they are now, waits until
    it is healthy, lets the web server's map name it, waits for requests under way, and stops the
    first one. The other services of the project are left alone.
  - Where memory and swap do not carry two, or the service publishes a port of the host (which has
    one owner), the first is stopped before the second starts. RV(mode) and RV(reason) say so
    beforehand, in check mode.
  - When the new one does not become healthy, or fails O(verify), it is removed, and the one before
    serves on. The failure has its state, the output of its health check and its last lines.
  - What a killed run left is put right by the next one; the map says which of two serves.
options:
  project_name:
    description: Name of the Compose project.
    type: str
    required: true
  project_src:
    description: Directory of the project's files, whose images are there.
    type: path
    required: true
  files:
    description: The project's files. Empty, those that Compose finds.
    type: list
    elements: str
    default: []
  service:
    description: The service that is replaced.
    type: str
    required: true
  port:
    description: The port of its container at which it answers.
    type: int
    required: true
  application:
    description: The key of its line in O(map).
    type: str
    required: true
  map:
    description:
      - The text file that the web server reads (C(RewriteMap … txt:)). Its directory is made if
        missing.
    type: path
    required: true
  alias:
    description:
      - A name on the web server's network that every container of the service has, and none of
        another application. The map names it while one container is there. Default,
        C(<project_name>-<service>).
    type: str
  health:
    description:
      - A path that the container itself must answer with a status below 400. Without it its own
        health check decides, and where it has none, that the port is open.
    type: str
  start_timeout:
    description: Seconds until it must be healthy.
    type: float
    default: 150
  drain:
    description: >-
      Seconds between the switch and the old container's stop, at least 2: requests that were read
      just before go to it.
    type: float
    default: 3
  memory_needed:
    description: >-
      MiB that a second container takes. Default, half as much again as the one that serves takes,
      and its memory limit at most.
    type: int
  verify:
    description: What O(verify_url) must answer after the switch, before the old one is stopped.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Path, with its query.
        type: str
        required: true
      status:
        description: The status that is expected.
        type: int
        default: 200
      contains:
        description: A text that the body has.
        type: str
        default: ""
  verify_first:
    description: >-
      Whether the new container itself must answer O(verify), too, before the switch, so that what
      it gets wrong reaches nobody. For one that has the same paths as the web server.
    type: bool
    default: false
  verify_url:
    description: The web server as the host reaches it. Its certificate is not looked at.
    type: str
    default: http://127.0.0.1:80
  verify_host:
    description: The name (C(Host)) by which it is asked. Default, that of O(verify_url).
    type: str
attributes:
  check_mode:
    description: Tells what would be done, in RV(mode), and why.
    support: full
  diff_mode:
    description: RV(reason) says it.
    support: none
"""

EXAMPLES = r"""
- name: Let the new release take the place of the old one
  labstack.stack.rollout:
    project_name: shop
    project_src: /opt/shop/current
    service: web
    port: 8000
    application: shop
    map: /etc/labstack/edge/slots.txt
    verify:
      - {path: /shop/, contains: Welcome}
"""

RETURN = r"""
mode:
  description:
    - C(none), nothing to do. C(start), nothing serves. C(restart), what serves is not well.
      C(beside) and C(stopped_first), a new container takes its place. C(tidy), only what a killed
      run left is removed.
  returned: always
  type: str
reason:
  description: Why, in words.
  returned: always
  type: str
container:
  description: Name of the container that serves.
  returned: always
  type: str
slot:
  description: What the map names.
  returned: success
  type: str
others:
  description: >-
    Each other service of the project - C(same), C(different) from the files, C(missing), or
    C(unwell).
  returned: success
  type: dict
seconds:
  description: How long each part took.
  returned: when something was done
  type: dict
state:
  description: What became of the container that failed - killed for memory, exit code, health.
  returned: failure
  type: str
log:
  description: Its last lines.
  returned: failure
  type: str
"""

import http.client
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.containers import (
    HASH,
    IMAGE,
    SERVICE,
    Container,
    Engine,
    EngineError,
    Project,
    alone,
)
from ..module_utils.host_files import (
    Attributes,
    make_directory,
    replace,
    sweep,
    write_temporary,
)

MIB = 2**20
POLL_S = 0.25
# Apache forgets the address behind the alias after this (addressttl).
LEAST_DRAIN_S = 2.0
# Images were built and fetched before: a release that comes back has those that it had.
NOT_FETCHED = ("--pull", "never")
# Beside what the container may take: for the engine, and for what is running already.
RESERVE_MIB = 48
ANSWER_TIMEOUT_S = 15.0
VERIFY_TRIES = 3
MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")
NEVER_BEGAN = "OCI runtime create failed"


class RolloutError(Exception):
    """The new container cannot serve. The message says why; the one before serves on.

    Attributes:
        state: what became of the new container.
        log: its last lines.
    """

    def __init__(self, message: str, state: str = "", log: str = "") -> None:
        """Take the three."""
        super().__init__(message)
        self.state = state
        self.log = log


class SlotMap:
    """The web server's map: a line for each application, with the name and port that answer."""

    def __init__(self, path: Path, application: str) -> None:
        """Name the file and the line."""
        self.path = path
        self.application = application

    def _lines(self) -> list[str]:
        try:
            return self.path.read_text().splitlines()
        except FileNotFoundError:
            return []

    def _ours(self, line: str) -> bool:
        return line.split()[:1] == [self.application]

    def value(self) -> str:
        """Return what the application's line names; empty without one. Raises OSError."""
        for line in self._lines():
            if self._ours(line) and len(line.split()) > 1:
                return line.split()[1]
        return ""

    def point(self, value: str) -> bool:
        """Let the line name something, in one step; return whether it changed. Raises OSError."""
        if self.value() == value:
            return False
        if not self.path.parent.is_dir():
            make_directory(self.path.parent, Attributes.own(0o755))
        sweep(self.path.parent)
        kept = [line for line in self._lines() if not self._ours(line)]
        text = "\n".join([*kept, f"{self.application} {value}"]) + "\n"
        # The web server compares the file's time: this one's is of now.
        replace(
            write_temporary(self.path.parent, [text.encode()], Attributes.own(0o644)), self.path
        )
        return True


def available_mib() -> int:
    """Return the memory and swap that programs may still take, in MiB.

    That of the machine, or of the control group that the whole host is in, whichever is less.
    Raises OSError.
    """
    values = {}
    for line in MEMINFO.read_text().splitlines():
        name, _, rest = line.partition(":")
        values[name] = int(rest.split()[0]) * 1024
    swap = values.get("SwapFree", 0)
    free = values["MemAvailable"]
    for limit, used, cache, key in (
        ("memory.max", "memory.current", "memory.stat", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat",
         "total_inactive_file"),
    ):  # fmt: skip
        with suppress(OSError, ValueError):
            most = int((CGROUP / limit).read_text())
            if most < values["MemTotal"]:
                stat = dict(line.split() for line in (CGROUP / cache).read_text().splitlines())
                # As the kernel reckons MemAvailable: of the file cache that is in use, half goes.
                cache_in_use = int(stat.get(key.replace("inactive", "active"), 0)) // 2
                taken = int((CGROUP / used).read_text()) - int(stat.get(key, 0)) - cache_in_use
                free = min(free, most - taken)
    return (max(free, 0) + swap) // MIB


def used_mib(container: Container) -> int:
    """Return what a container takes now, in MiB; 0 where its control group is not found."""
    number = container.id
    for group in (f"system.slice/docker-{number}.scope", f"docker/{number}"):
        for file in (f"{group}/memory.current", f"memory/{group}/memory.usage_in_bytes"):
            with suppress(OSError, ValueError):
                return int((CGROUP / file).read_text()) // MIB
    return 0


@dataclass
class Plan:
    """What is to be done.

    Attributes:
        mode: see RETURN.
        reason: why, in words.
        serving: the container that serves; None where none does.
        leftovers: those that a killed run left.
    """

    mode: str
    reason: str
    serving: Container | None = None
    leftovers: list[Container] = field(default_factory=list)


class Rollout:
    """The replacement of a service's container.

    Attributes:
        seconds: how long each part took.
    """

    def __init__(self, parameters: dict[str, Any], engine: Engine) -> None:
        """Take the module's parameters; nothing is looked at yet."""
        self.engine = engine
        self.project = Project(
            engine,
            parameters["project_name"],
            Path(parameters["project_src"]),
            parameters["files"],
        )
        self.service = parameters["service"]
        self.port = parameters["port"]
        self.slots = SlotMap(Path(parameters["map"]), parameters["application"])
        self.alias = parameters["alias"] or f"{parameters['project_name']}-{self.service}"
        self.rest = f"{self.alias}:{self.port}"
        self.health = parameters["health"]
        self.start_timeout = parameters["start_timeout"]
        self.drain = max(parameters["drain"], LEAST_DRAIN_S)
        self.memory_needed = parameters["memory_needed"]
        self.verify = parameters["verify"]
        self.verify_first = parameters["verify_first"]
        self.verify_url = parameters["verify_url"]
        self.verify_host = parameters["verify_host"]
        self.seconds: dict[str, float] = {}
        self.config: dict[str, Any] = {}
        # What Compose notes on a container made alone, and on one made with its dependencies.
        self.alone: dict[str, str] = {}
        self.whole: dict[str, str] | None = None

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Note how long a part takes."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = round(time.monotonic() - began, 1)

    # --- What is there ---------------------------------------------------------------------------

    def serving(self, found: list[Container]) -> Container | None:
        """Return the container that serves: the one that the map names, else one that is well."""
        named = self.slots.value().rpartition(":")[0]
        for container in found:
            if container.name == named:
                return container
        ordered = sorted(found, key=lambda one: (not one.well, not one.running))
        return ordered[0] if ordered else None

    def is_new(self, container: Container, service: str) -> bool:
        """Whether a container is what the files describe, of the image that is there now."""
        labels = container.labels
        noted = labels.get(HASH)
        if noted != self.alone.get(service):
            # Somebody has typed `docker compose up`.
            if self.whole is None:
                self.whole = self.project.hashes()
            if noted != self.whole.get(service):
                return False
        image = self.engine.image(str(container.facts["Config"]["Image"]))
        return not image or labels.get(IMAGE, image) == image

    def plan(self) -> tuple[Plan, dict[str, str]]:
        """Compare what runs with the files; return what is to be done, and the other services.

        Raises:
            EngineError: the files are not right, or the engine does not answer.
            RolloutError: the project has no such service.
        """
        self.config = self.project.config()
        if self.service not in self.config["services"]:
            raise RolloutError(
                f"the project {self.project.name} has no service '{self.service}'; it has: "
                f"{', '.join(sorted(self.config['services']))}"
            )
        self.alone = self.project.hashes_alone(self.config)
        everything = self.engine.containers(self.project.name)
        others = self.others(everything)
        found = [one for one in everything if one.labels.get(SERVICE) == self.service]
        serving = self.serving(found)
        if serving is None:
            return Plan("start", "nothing serves yet"), others
        leftovers = [one for one in found if one.id != serving.id]
        if self.is_new(serving, self.service):
            if not serving.well:
                return Plan("restart", f"it is not well: {serving.state()}", serving, leftovers), (
                    others
                )
            if leftovers or self.slots.value() != self.rest:
                return Plan("tidy", "a run before was cut short", serving, leftovers), others
            return Plan("none", "it is what the files describe", serving), others
        if not serving.running:
            return Plan("start", f"nothing serves: {serving.state()}", serving, leftovers), others
        mode, reason = self.way(serving)
        return Plan(mode, reason, serving, leftovers), others

    def others(self, everything: list[Container]) -> dict[str, str]:
        """Say of each other service how its container compares with the files."""
        result = {}
        for service in self.config["services"]:
            if service == self.service:
                continue
            mine = [one for one in everything if one.labels.get(SERVICE) == service]
            if not mine:
                result[service] = "missing"
            elif not all(self.is_new(one, service) for one in mine):
                result[service] = "different"
            elif not all(one.well for one in mine):
                result[service] = "unwell"
            else:
                result[service] = "same"
        return result

    def way(self, serving: Container) -> tuple[str, str]:
        """Return whether the new one can start beside the old one, and why, in words."""
        service = self.config["services"][self.service]
        published = [str(one.get("published", "")) for one in service.get("ports", [])]
        if any(published):
            return "stopped_first", (
                f"the service {self.service} publishes port "
                f"{', '.join(filter(None, published))} of the host, which has one owner"
            )
        needed = self.memory_needed
        if needed is None:
            limit = int(service.get("mem_limit") or 0) // MIB
            # The one that serves shows what one takes; a new one may take some more.
            shown = used_mib(serving) * 3 // 2
            needed = min(limit, shown) if limit and shown else limit or shown
        free = available_mib()
        if free < needed + RESERVE_MIB:
            return "stopped_first", (
                f"memory is short: a second container takes up to {needed} MiB, and {free} MiB are "
                "free with swap"
            )
        return "beside", f"it differs from the files; {free} MiB of memory and swap are free"

    # --- What is done ----------------------------------------------------------------------------

    def apply(self, plan: Plan) -> str:
        """Do what the plan says; return the name of the container that serves then.

        Raises:
            RolloutError: the new container cannot serve; the one before does.
            EngineError: the engine fails.
            OSError: the map cannot be written.
        """
        serving = plan.serving
        if plan.leftovers and serving:
            # The alias is theirs, too.
            self.slots.point(f"{serving.name}:{self.port}")
            for leftover in plan.leftovers:
                self.remove(leftover)
        if plan.mode == "tidy" and serving:
            self.settled(serving)
        elif plan.mode == "restart" and serving:
            if serving.health != "starting" or not serving.running:
                self.engine.run("restart", serving.id, timeout=self.patience(serving))
            with self.timed("start"):
                self.await_health(serving)
            self.slots.point(self.rest)
        elif plan.mode == "start" or not serving:
            serving = self.start()
        elif plan.mode == "beside":
            serving = self.beside(serving)
        else:
            serving = self.stopped_first(serving)
        return serving.name

    def start(self) -> Container:
        """Start the service where nothing serves."""
        with self.timed("start"):
            command = ["up", "--detach", "--no-deps", "--no-build", *NOT_FETCHED, self.service]
            try:
                self.project.run(*command)
            except EngineError as error:
                if NEVER_BEGAN not in str(error):
                    raise
                # Nothing of the container has run then: a second try is safe.
                self.project.run(*command)
            found = self.engine.containers(self.project.name, self.service)
            if not found:
                raise RolloutError(f"Compose has made no container of {self.service}")
            self.await_health(found[0])
        self.slots.point(self.rest)
        return found[0]

    def create(self, old: Container) -> Container:
        """Make a second container, without starting it."""
        with self.timed("create"):
            self.project.run(
                "up", "--no-start", "--no-deps", "--no-build", *NOT_FETCHED, "--no-recreate",
                "--scale", f"{self.service}=2", self.service,
            )  # fmt: skip
        found = self.engine.containers(self.project.name, self.service)
        new = [one for one in found if one.id != old.id]
        if not new:
            raise RolloutError(f"Compose has made no second container of {self.service}")
        return new[-1]

    def run(self, new: Container) -> None:
        """Start a container and wait until it is healthy."""
        with self.timed("start"):
            try:
                self.engine.run("start", new.id)
            except EngineError as error:
                if NEVER_BEGAN not in str(error):
                    raise self.failed(new, str(error)) from error
                self.engine.run("start", new.id)
            self.await_health(new)

    def beside(self, old: Container) -> Container:
        """Put a new container in the place of the old one while that serves."""
        # The alias is the new one's too, from its start: until it is healthy the old one is named.
        self.slots.point(f"{old.name}:{self.port}")
        new = None
        try:
            new = self.create(old)
            self.run(new)
            if self.verify_first:
                address = self.engine.inspect(new.id)[0].address_by(self.alias)
                self.check(new, f"http://{address}:{self.port}", None)
            self.slots.point(f"{new.name}:{self.port}")
            with self.timed("verify"):
                self.check_edge(new)
        except BaseException:
            self.slots.point(f"{old.name}:{self.port}")
            if new:
                # What it has begun to answer.
                if "verify" in self.seconds:
                    time.sleep(self.drain)
                self.remove(new)
            self.slots.point(self.rest)
            raise
        with self.timed("drain"):
            time.sleep(self.drain)
        with self.timed("stop"):
            self.engine.run("stop", old.id, timeout=self.patience(old))
            self.remove(old)
        return self.settled(new)

    def stopped_first(self, old: Container) -> Container:
        """Put a new container in the place of the old one, which is stopped before."""
        new = self.create(old)
        try:
            self.engine.run("stop", old.id, timeout=self.patience(old))
            self.run(new)
            self.check_edge(new)
        except BaseException:
            self.remove(new)
            self.engine.run("start", old.id)
            self.await_health(old)
            self.slots.point(self.rest)
            raise
        self.remove(old)
        return self.settled(new)

    def settled(self, new: Container) -> Container:
        """Give the only container the name of the first, by which people know it, and the alias.

        Compose counts on with each container, and knows them by their labels.
        """
        name = f"{self.project.name}-{self.service}-1"
        if new.name != name and not self.engine.inspect(name):
            # While the engine changes its names it is reached without any.
            now = self.engine.inspect(new.id)[0]
            self.slots.point(f"{now.address_by(self.alias)}:{self.port}")
            self.engine.run("rename", new.id, name)
        self.slots.point(self.rest)
        return next(iter(self.engine.inspect(new.id)), new)

    def patience(self, container: Container) -> float:
        """Return the seconds in which the engine has stopped a container, by force at last."""
        return float(container.facts["Config"].get("StopTimeout") or 10) + 60

    def remove(self, container: Container) -> None:
        """Remove a container, running or not. Raises EngineError."""
        self.engine.run("rm", "--force", "--volumes", container.id)

    # --- Whether it is well ----------------------------------------------------------------------

    def await_health(self, container: Container) -> None:
        """Wait until a container is healthy. Raises RolloutError with its state and last lines."""
        deadline = time.monotonic() + self.start_timeout
        while True:
            now = next(iter(self.engine.inspect(container.id)), None)
            if now is None:
                raise RolloutError(f"the container {container.name} was removed by somebody")
            seen = self.wrong_answer(now) if now.well else ""
            if now.well and not seen:
                return
            status = now.facts["State"]["Status"]
            if status in ("exited", "dead", "restarting") or now.facts.get("RestartCount"):
                raise self.failed(now, f"{now.name} ended before it was healthy")
            if now.health == "unhealthy":
                raise self.failed(now, f"{now.name} is unhealthy")
            if time.monotonic() > deadline:
                message = f"{now.name} is not healthy after {self.start_timeout:.0f} s"
                raise self.failed(now, f"{message}: {seen}" if seen else message)
            # The engine tells nobody; it is asked again.
            time.sleep(POLL_S)

    def wrong_answer(self, container: Container) -> str:
        """Return what is wrong with the answer at the port, where no check of its own looks.

        Empty where nothing is.
        """
        url = f"http://{container.address}:{self.port}"
        if self.health:
            try:
                status, body = ask(url, self.health, None)
            except (OSError, http.client.HTTPException) as error:
                return f"{self.health} was not answered by {url}: {error}"
            if status >= 400:
                return f"{self.health} was answered with {status}: {body[:200]!r}"
            return ""
        if container.health not in ("", "none"):
            return ""
        try:
            with socket.create_connection((container.address, self.port), timeout=2):
                return ""
        except OSError as error:
            return f"nothing listens at {url}: {error}"

    def check_edge(self, new: Container) -> None:
        """Ask the web server what it must answer now. Raises RolloutError."""
        self.check(new, self.verify_url, self.verify_host)

    def check(self, new: Container, url: str, host: str | None) -> None:
        """Ask what must be answered, of the web server or of the container. Raises RolloutError."""
        for wanted in self.verify:
            seen = ""
            for attempt in range(VERIFY_TRIES):
                if attempt:
                    time.sleep(POLL_S)
                seen = seen_of(wanted, url, host)
                if not seen:
                    break
            if seen:
                raise self.failed(
                    new, f"{new.name} is healthy, and fails its checks: {wanted['path']} {seen}"
                )

    def failed(self, container: Container, message: str) -> RolloutError:
        """Return a failure with what became of the container."""
        now = next(iter(self.engine.inspect(container.id)), container)
        return RolloutError(message, now.state(), self.engine.log(container))


def seen_of(wanted: dict[str, Any], url: str, host: str | None) -> str:
    """Return what is wrong with the answer to one of O(verify); empty where nothing is."""
    try:
        status, body = ask(url, wanted["path"], host)
    except (OSError, http.client.HTTPException) as error:
        return f"was not answered by {url}: {error}"
    if status != wanted["status"]:
        return f"was answered with {status} instead of {wanted['status']}: {body[:200]!r}"
    if wanted["contains"] not in body:
        return f"was answered without {wanted['contains']!r}: {body[:200]!r}"
    return ""


def ask(url: str, path: str, host: str | None) -> tuple[int, str]:
    """GET a path; return status and body.

    Args:
        url: scheme, address and port.
        path: the path, with its query.
        host: the header Host; None, that of the address.

    Raises:
        OSError: nobody answers.
        http.client.HTTPException: what answers does not speak HTTP.
    """
    parts = urlsplit(url)
    address = parts.hostname or "127.0.0.1"
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        # The host's own loopback, whose certificate is for another name.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection(
            address, parts.port, timeout=ANSWER_TIMEOUT_S, context=context
        )
    else:
        connection = http.client.HTTPConnection(address, parts.port, timeout=ANSWER_TIMEOUT_S)
    try:
        connection.request("GET", path, headers={"Host": host} if host else {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    finally:
        connection.close()


def told(error: RolloutError, serving: str) -> str:
    """Return a failure in words: what, the container's state, its last lines, what serves."""
    lines = [f"The rollout failed: {error}"]
    if error.state:
        lines.append(f"State: {error.state}")
    if error.log:
        lines += ["Last lines of its log:", error.log]
    if serving:
        lines.append(f"The container before, {serving}, serves on.")
    else:
        lines.append("Nothing was serving before.")
    return "\n".join(lines)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "project_name": {"required": True},
            "project_src": {"type": "path", "required": True},
            "files": {"type": "list", "elements": "str", "default": []},
            "service": {"required": True},
            "port": {"type": "int", "required": True},
            "application": {"required": True},
            "map": {"type": "path", "required": True},
            "alias": {},
            "health": {},
            "start_timeout": {"type": "float", "default": 150},
            "drain": {"type": "float", "default": 3},
            "memory_needed": {"type": "int"},
            "verify": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "path": {"required": True},
                    "status": {"type": "int", "default": 200},
                    "contains": {"default": ""},
                },
            },
            "verify_first": {"type": "bool", "default": False},
            "verify_url": {"default": "http://127.0.0.1:80"},
            "verify_host": {},
        },
        supports_check_mode=True,
    )
    rollout = Rollout(module.params, Engine(module.get_bin_path("docker", required=True)))
    serving = ""
    plan = Plan("none", "")
    try:
        if module.check_mode:
            plan, others = rollout.plan()
            name = plan.serving.name if plan.serving else ""
        else:
            with alone(rollout.slots.path.parent):
                plan, others = rollout.plan()
                serving = plan.serving.name if plan.serving and plan.serving.running else ""
                name = plan.serving.name if plan.serving else ""
                if plan.mode != "none":
                    name = rollout.apply(plan)
        module.exit_json(
            changed=plan.mode != "none",
            mode=plan.mode,
            reason=plan.reason,
            container=name,
            slot=rollout.slots.value(),
            others=others,
            seconds=rollout.seconds,
        )
    except RolloutError as error:
        module.fail_json(
            msg=told(error, serving),
            error=str(error),
            mode=plan.mode,
            reason=plan.reason,
            container=serving,
            state=error.state,
            log=error.log,
        )
    except (EngineError, OSError) as error:
        module.fail_json(
            msg=told(RolloutError(str(error)), serving),
            error=str(error),
            mode=plan.mode,
            reason=plan.reason,
            container=serving,
            state="",
            log="",
        )


if __name__ == "__main__":
    main()
