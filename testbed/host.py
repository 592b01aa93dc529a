"""Stand-in hosts: containers that Ansible takes for machines at an address."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker

from cli.waiting import waiting
from testbed import images, mirror

STATE = mirror.ROOT / ".lab"
KEY = STATE / "id_ed25519"
KNOWN_HOSTS = STATE / "known_hosts"
SSH_CONFIG = STATE / "ssh_config"
BOOT_TIMEOUT = 60.0  # seconds; systemd takes 1 to 4 s
# What systemd and a Docker Engine of its own need, short of --privileged.
CAPABILITIES = ["SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE", "SYS_NICE", "SYSLOG", "IPC_LOCK"]


class HostError(RuntimeError):
    """A stand-in host did not come up; the message shows its last lines."""


@dataclass(frozen=True)
class Size:
    """What the stand-in has of the machine; the default is a t2.micro with 1 GiB of swap.

    Attributes:
        memory: Docker's notation, e.g. "1g".
        swap: memory and swap together, the same notation.
        cpus: number of processors.
    """

    memory: str = "1g"
    swap: str = "2g"
    cpus: float = 1.0


def _image(client: docker.DockerClient, upstream: str) -> str:
    default = "ubuntu:22.04" if upstream == "internet" else images.debian(client)
    base = os.environ.get("TESTBED_HOST_BASE", default)
    return images.Recipe("labstack/host", Path(__file__).parent / "host", {"BASE": base}).ensure(
        client
    )


def _key() -> str:
    """The public half of the lab's SSH key, made on first use."""
    STATE.mkdir(exist_ok=True)
    if not KEY.exists():
        command = [
            "ssh-keygen",
            "-q",
            "-t",
            "ed25519",
            "-N",
            "",
            "-C",
            "labstack-lab",
            "-f",
            str(KEY),
        ]
        try:
            subprocess.run(command, check=True)
        except FileNotFoundError as error:
            raise HostError("ssh-keygen is missing: sudo apt-get install openssh-client") from error
    return KEY.with_suffix(".pub").read_text()


def container_name(lab: str, name: str) -> str:
    """The container of a host: "labstack-lab-ec2"."""
    return f"labstack-{lab}-{name}"


def find(client: docker.DockerClient, lab: str | None = None) -> list[Any]:
    """The hosts of a lab (all labs where None), running or not."""
    label = "labstack.lab" if lab is None else f"labstack.lab={lab}"
    containers: list[Any] = client.containers.list(
        all=True, filters={"label": label}, ignore_removed=True
    )
    return containers


def ours(container: Any) -> bool:
    """Whether a host is this checkout's, or nobody's: its checkout is gone, or it names none."""
    checkout = container.labels.get("labstack.checkout", "")
    if checkout in ("", str(mirror.ROOT)):
        return True
    try:
        Path(checkout).stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        # Another user's, where we may not look.
        return False
    return False


def _refuse_others(container: Any) -> None:
    """Raises HostError where a host is another checkout's."""
    if ours(container):
        return
    lab, checkout = container.labels["labstack.lab"], container.labels["labstack.checkout"]
    raise HostError(
        f"The lab {lab} (LABSTACK_LAB) belongs to the checkout {checkout}.\n"
        f"-> LABSTACK_LAB=second ./lab up    # another name: a lab of this checkout's own\n"
        f"-> or remove that one: cd {shlex.quote(checkout)} && LABSTACK_LAB={lab} ./lab down"
    )


def up(
    client: docker.DockerClient, lab: str, name: str, upstream: str, size: Size | None = None
) -> str:
    """Starts a host where it does not run yet; returns its address.

    Raises:
        HostError: it does not come up, or it is another checkout's.
    """
    size = size or Size()
    public_key = _key()
    try:
        container = client.containers.get(container_name(lab, name))
        _refuse_others(container)
    except docker.errors.NotFound:
        container = client.containers.create(
            _image(client, upstream),
            name=container_name(lab, name),
            hostname=name,
            labels={
                "labstack.lab": lab,
                "labstack.host": name,
                "labstack.checkout": str(mirror.ROOT),
            },
            cgroupns="private",
            mem_limit=size.memory,
            memswap_limit=size.swap,
            nano_cpus=int(size.cpus * 1e9),
            cap_add=CAPABILITIES,
            security_opt=["seccomp=unconfined", "apparmor=unconfined"],
            tmpfs={"/run": "", "/run/lock": ""},
            environment={"container": "docker"},
        )
    if container.status == "running":
        _wait_for_boot(container)
    else:
        with waiting(f"testbed: starting {container.name}"):
            container.start()
            _wait_for_boot(container)
    _authorise(container, public_key)
    container.reload()
    _pin(container, address(container))
    _write_ssh_config(client)
    return address(container)


def address(container: Any) -> str:
    """The address of a running host on the Docker bridge."""
    networks = container.attrs["NetworkSettings"]["Networks"]
    return str(next(iter(networks.values()))["IPAddress"])


def _wait_for_boot(container: Any) -> None:
    deadline = time.monotonic() + BOOT_TIMEOUT
    while True:
        container.reload()
        if container.status == "exited":
            break
        _, output = container.exec_run(["systemctl", "is-system-running"])
        state = output.decode().strip()
        # "degraded": a unit failed, and the host is up all the same, as machines are.
        if state in ("running", "degraded"):
            listening, _ = container.exec_run(["sh", "-c", "ss -ltn | grep -q ':22 '"])
            if listening == 0:
                return
        if time.monotonic() > deadline:
            break
        # systemd in the container sends no word to the outside.
        time.sleep(0.2)
    log = container.logs(tail=20).decode(errors="replace")
    raise HostError(f"{container.name} did not come up within {BOOT_TIMEOUT:.0f} s:\n{log}")


def _authorise(container: Any, public_key: str) -> None:
    script = (
        'printf "%s" "$1" > /home/ubuntu/.ssh/authorized_keys'
        " && chown ubuntu:ubuntu /home/ubuntu/.ssh/authorized_keys"
        " && chmod 0600 /home/ubuntu/.ssh/authorized_keys"
    )
    code, output = container.exec_run(["sh", "-c", script, "sh", public_key])
    if code != 0:
        raise HostError(f"{container.name}: the key could not be installed: {output.decode()}")


def _pin(container: Any, ip: str) -> None:
    """Writes the host's key, read from inside, into the lab's known hosts."""
    kind, key = _host_key(container)
    lines = KNOWN_HOSTS.read_text().splitlines() if KNOWN_HOSTS.exists() else []
    kept = [line for line in lines if not line.startswith(f"{ip} ")]
    KNOWN_HOSTS.write_text("\n".join([*kept, f"{ip} {kind} {key}"]) + "\n")


def _host_key(container: Any) -> tuple[str, str]:
    """Return kind and text of the host's public key. Raises HostError."""
    deadline = time.monotonic() + BOOT_TIMEOUT
    while True:
        _, output = container.exec_run(["cat", "/etc/ssh/ssh_host_ed25519_key.pub"])
        text = output.decode(errors="replace")
        match text.split():
            case ["ssh-ed25519", key, *_]:
                return "ssh-ed25519", key
        if time.monotonic() > deadline:
            raise HostError(f"{container.name}: its SSH key cannot be read: {text}")
        # On a busy machine the engine has answered with nothing.
        time.sleep(0.2)


def _write_ssh_config(client: docker.DockerClient) -> None:
    """Writes .lab/ssh_config: `ssh -F .lab/ssh_config labstack-lab-ec2`."""
    # Not "~": that is the account's own to ssh, whatever HOME says.
    sockets = Path.home() / ".ssh"
    blocks = [
        f"""\
Host {container.name}
    HostName {address(container)}
    User ubuntu
    IdentityFile {KEY}
    UserKnownHostsFile {KNOWN_HOSTS}
    ControlMaster auto
    ControlPath {sockets}/labstack-%C
    ControlPersist 60
"""
        for container in find(client)
        if container.status == "running"
    ]
    sockets.mkdir(mode=0o700, exist_ok=True)
    SSH_CONFIG.write_text("\n".join(blocks))


def down(client: docker.DockerClient, lab: str | None = None) -> list[str]:
    """Removes the hosts of a lab with their disks; returns their names.

    Args:
        client: the engine.
        lab: the lab's name; None: every lab of this checkout.

    Raises:
        HostError: the lab is another checkout's.
    """
    names = []
    for container in find(client, lab):
        # One without a label may be anybody's; by its lab's name it can be removed.
        if lab is None and not (container.labels.get("labstack.checkout") and ours(container)):
            continue
        _refuse_others(container)
        container.remove(force=True, v=True)
        names.append(str(container.name))
    return names
