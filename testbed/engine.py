"""A running Docker Engine: the one that is there, or Debian's, installed and started by us.

Machines without an init system (containers, small VMs) start no services; there, dockerd is
started detached and stopped again by `stop`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import docker

from cli.waiting import waiting

PID_FILE = Path("/run/labstack-dockerd.pid")
LOG_FILE = Path("/var/log/labstack-dockerd.log")
START_TIMEOUT = 60.0  # seconds; a first start lays out /var/lib/docker


class EngineError(RuntimeError):
    """No Docker Engine can be had; the message says what to do."""


def _connect() -> docker.DockerClient | None:
    try:
        client = docker.from_env(timeout=600)
        client.ping()
    except docker.errors.DockerException:
        return None
    return client


def _apt_knows(package: str) -> bool:
    command = ["apt-cache", "show", "--no-all-versions", package]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _install() -> None:
    """Installs the distribution's engine. Raises EngineError where apt cannot."""
    if not shutil.which("apt-get"):
        raise EngineError(
            "No Docker Engine runs here, and this system has no apt-get to install one.\n"
            "Install Docker Engine (https://docs.docker.com/engine/install/), then: ./lab up"
        )
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    update = ["apt-get", "update", "-qq"]
    install = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", "docker.io"]
    # Since Debian 13 the command line is a package of its own.
    for command in (update, install):
        if command is install and _apt_knows("docker-cli"):
            install.append("docker-cli")
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise EngineError(
                f"`{' '.join(command)}` failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
            )


def _start() -> None:
    if Path("/run/systemd/system").is_dir():
        subprocess.run(["systemctl", "start", "docker"], check=False)
        return
    with LOG_FILE.open("ab") as log:
        process = subprocess.Popen(
            ["dockerd", "--log-level", "warn"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    PID_FILE.write_text(f"{process.pid}\n")


def ensure() -> docker.DockerClient:
    """Returns a client of the running engine; installs and starts one where none runs.

    Raises:
        EngineError: it cannot be installed, started, or reached by this user.
    """
    client = _connect()
    if client:
        return client
    if os.geteuid() != 0:
        raise EngineError(
            "No Docker Engine answers this user.\n"
            "  not installed:  sudo apt-get install docker.io\n"
            "  not running:    sudo systemctl start docker\n"
            "  not allowed:    sudo usermod -aG docker $USER   (then log in again)\n"
            "Then: ./lab up"
        )
    if not installed():
        with waiting("testbed: installing Docker Engine (docker.io)"):
            _install()
    with waiting("testbed: starting Docker Engine"):
        return _started()


def _started() -> docker.DockerClient:
    """Starts the engine and waits until it answers. Raises EngineError."""
    _start()
    deadline = time.monotonic() + START_TIMEOUT
    while not (client := _connect()):
        if time.monotonic() > deadline:
            tail = LOG_FILE.read_text(errors="replace")[-2000:] if LOG_FILE.exists() else ""
            raise EngineError(
                f"Docker Engine did not answer within {START_TIMEOUT:.0f} s. {LOG_FILE}:\n{tail}"
            )
        # Its socket is there before it answers; only asking shows it.
        time.sleep(0.2)
    return client


def installed() -> bool:
    """Whether this machine has an engine, running or not."""
    return bool(shutil.which("dockerd"))


def running() -> docker.DockerClient | None:
    """Returns a client of the running engine, or None; starts nothing."""
    return _connect()


def stop() -> bool:
    """Stops the engine that `ensure` started, and removes its bridge.

    Returns whether there was one. An engine that was there before us is left alone.
    """
    # Only root starts one, and only root can stop it.
    if not PID_FILE.exists() or os.geteuid() != 0:
        return False
    pid = int(PID_FILE.read_text())
    PID_FILE.unlink()
    if not _is_dockerd(pid):
        return False
    os.kill(pid, 15)
    deadline = time.monotonic() + START_TIMEOUT
    while _is_dockerd(pid) and time.monotonic() < deadline:
        # It is no child of this process, which therefore cannot wait for it.
        time.sleep(0.2)
    if shutil.which("ip"):
        subprocess.run(["ip", "link", "delete", "docker0"], capture_output=True, check=False)
    return True


def _is_dockerd(pid: int) -> bool:
    """Whether the process of that id lives and is dockerd (ids are reused after a reboot)."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == "dockerd" and (
            Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
        )
    except OSError:
        return False
