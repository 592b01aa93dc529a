"""A lab of its own for a test: stand-in host, runs of playbooks on it, runs that are cut short."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parent.parent
RUN_TIMEOUT = 900.0  # seconds; a first run of site.yml takes some 150
CUT_TIMEOUT = 600.0  # seconds to reach the place where a run is to be cut


@dataclass(frozen=True)
class Run:
    """A finished run of ansible-playbook.

    Attributes:
        status: exit status; negative: killed by that signal.
        output: standard output and standard error.
        seconds: how long it took.
    """

    status: int
    output: str
    seconds: float

    @property
    def recap(self) -> dict[str, int]:
        """The counts of the recap, e.g. {"ok": 38, "changed": 0, ...}; empty without a recap."""
        tail = self.output.rpartition("PLAY RECAP")[2]
        return {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", tail)}


@contextlib.contextmanager
def _taken(address: str, like: str) -> Iterator[None]:
    """Lets somebody have a free address of Docker's network for a while.

    Docker gives out the lowest free one, and other labs may leave theirs at any time: containers
    are started until the address is one of theirs.
    """

    def ask(*arguments: str) -> str:
        command = ["docker", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    image = ask("inspect", "--format", "{{.Image}}", like)
    made: list[str] = []
    try:
        network = ""
        while f'"{address}/' not in network:
            assert len(made) < 32, f"nobody got {address}: {network}"
            made.append(ask("run", "-d", "--rm", "--entrypoint", "sleep", image, "300"))
            network = ask("network", "inspect", "--format", "{{json .Containers}}", "bridge")
        yield
    finally:
        if made:
            ask("rm", "-f", *made)


class Lab:
    """A lab with one stand-in host, or several.

    Attributes:
        name: the lab's name.
        hosts: the hosts' names.
        host: the first host's container, as .lab/ssh_config knows it.
    """

    def __init__(self, name: str, hosts: tuple[str, ...] = ("ec2",)) -> None:
        """Names the lab and its hosts; `up` starts them."""
        self.name = name
        self.hosts = hosts
        self.host = f"labstack-{name}-{hosts[0]}"
        self._environment = {
            **os.environ,
            "LABSTACK_LAB": name,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            # Tests look for tasks.
            "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
            "PYTHONUNBUFFERED": "1",
        }
        # Molecule sets it, and colours stand between a line's beginning and its word.
        self._environment.pop("ANSIBLE_FORCE_COLOR", None)

    def up(self, *size: str) -> None:
        """Starts the hosts, blank where they are new; `size` as `python -m testbed up` takes it."""
        self._testbed("up", "--lab", self.name, "--hosts", ",".join(self.hosts), *size)

    def down(self) -> None:
        """Removes the hosts with their disks."""
        self._testbed("down", "--keep", "--lab", self.name)

    @property
    def address(self) -> str:
        """The first host's address now."""
        return self.addresses[self.host]

    @property
    def addresses(self) -> dict[str, str]:
        """The addresses of the hosts that run now, by container."""
        command = [sys.executable, "-m", "testbed", "addresses", "--lab", self.name]
        answer = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
        found: dict[str, str] = dict(line.split() for line in answer.stdout.splitlines())
        return found

    @contextlib.contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """Lets a host answer nobody for a while; unlike a stopped one it keeps its address."""
        container = f"labstack-{self.name}-{name}"
        subprocess.run(["docker", "pause", container], check=True, capture_output=True)
        try:
            yield
        finally:
            subprocess.run(["docker", "unpause", container], check=True, capture_output=True)

    def power_cut(self) -> None:
        """Takes the power away from the host and gives it back."""
        subprocess.run(["docker", "kill", self.host], check=True, capture_output=True)
        self.up()

    def move(self) -> str:
        """Stops the host and starts it on another address, as AWS does; returns that."""
        before = self.address
        subprocess.run(["docker", "stop", self.host], check=True, capture_output=True)
        with _taken(before, self.host):
            self.up()
            assert self.address != before
        return self.address

    def _testbed(self, *arguments: str) -> None:
        subprocess.run([sys.executable, "-m", "testbed", *arguments], cwd=ROOT, check=True)

    def ssh(self, command: str, text: str = "", host: str = "") -> subprocess.CompletedProcess[str]:
        """Runs a shell command on a host as user ubuntu; never raises on its exit status.

        Args:
            command: the command line.
            text: its standard input.
            host: the host's name; the first one where none is given.
        """
        container = f"labstack-{self.name}-{host}" if host else self.host
        return subprocess.run(
            ["ssh", "-F", ".lab/ssh_config", container, command],
            cwd=ROOT,
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def start(self, *arguments: str, playbook: str = "site.yml") -> subprocess.Popen[str]:
        """Starts ansible-playbook in a process group of its own, to be killed as a whole."""
        return subprocess.Popen(
            ["ansible-playbook", "-i", "inventory/lab", playbook, *arguments],
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def play(self, *arguments: str, playbook: str = "site.yml") -> Run:
        """Runs ansible-playbook to its end."""
        began = time.monotonic()
        process = self.start(*arguments, playbook=playbook)
        try:
            output, _ = process.communicate(timeout=RUN_TIMEOUT)
        finally:
            kill(process)
        return Run(process.returncode, output, time.monotonic() - began)

    def play_json(self, *arguments: str, playbook: str = "site.yml") -> dict[str, object]:
        """Runs ansible-playbook with results as JSON; returns the document."""
        before = self._environment["ANSIBLE_STDOUT_CALLBACK"]
        self._environment["ANSIBLE_STDOUT_CALLBACK"] = "ansible.posix.json"
        try:
            output = self.play(*arguments, playbook=playbook).output
        finally:
            self._environment["ANSIBLE_STDOUT_CALLBACK"] = before
        document: dict[str, object] = json.loads(output[output.index("{") :])
        return document

    def play_until(self, task: str, *arguments: str, also: Callable[[], bool] | None = None) -> str:
        """Runs site.yml and kills it at a task: no clean-up, as if the lid closed.

        Args:
            task: beginning of the task's headline after the collection, e.g. "docker : install".
            arguments: more arguments of ansible-playbook.
            also: a condition to wait for once the task has begun, e.g. that MySQL initialises.

        Returns:
            The output so far.

        Raises:
            AssertionError: the run ended before the task began, or the condition never came true.
        """
        process = self.start(*arguments)
        assert process.stdout
        pipe = process.stdout.fileno()
        os.set_blocking(pipe, False)
        output = ""
        deadline = time.monotonic() + CUT_TIMEOUT

        def read() -> str:
            # Not through process.stdout, whose buffer hides lines that have come already.
            try:
                return os.read(pipe, 1 << 16).decode(errors="replace")
            except BlockingIOError:
                return ""

        try:
            while f"TASK [labstack.stack.{task}" not in output or (also and not also()):
                output += read()
                assert process.poll() is None, f"the run ended before {task!r}:\n{output + read()}"
                assert time.monotonic() < deadline, f"{task!r} was not reached:\n{output}"
                # The pipe does not block, so that the deadline holds.
                time.sleep(0.05)
        finally:
            kill(process)
        return output


def converge(*arguments: str) -> Run:
    """Plays the scenario that Molecule verifies once more; `--tags prometheus` for one role."""
    scenario = Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"])
    lab = Lab(os.environ["LABSTACK_LAB"])
    return lab.play(*arguments, playbook=str(scenario / "converge.yml"))


def kill(process: subprocess.Popen[str]) -> None:
    """Kills the whole process group that `Lab.start` made, where it still runs."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
