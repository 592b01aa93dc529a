#!/usr/bin/python
"""Ansible module: checks the host before anything on it is changed, and says what it is."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight_host
short_description: Check the host before anything on it is changed
description:
  - Looks at everything that would stop a run halfway, and reports all of it in one message, each
    problem with its remedy. Changes nothing.
  - Waits for cloud-init, which still installs packages on a machine that has just been launched.
  - Returns the few facts that roles need to know a system by, with the values that
    M(ansible.builtin.setup) gives, and so saves a play that needs no others the 0.6 s of it.
options:
  supported_systems:
    description: Versions that will do, by distribution (as in the fact C(distribution)).
    type: dict
    required: true
  supported_architectures:
    description: Architectures that will do.
    type: list
    elements: str
    default: [x86_64, aarch64]
  memory_min_mb:
    description: Least memory in MB (1 MB = 1,000,000 bytes); a cgroup's limit counts.
    type: int
    default: 900
  disk_min_mb:
    description: Least free space in MB on a host without the stack.
    type: int
    default: 5000
  disk_min_deployed_mb:
    description: Least free space in MB on a host that has the stack.
    type: int
    default: 500
  disk_paths:
    description: Paths whose file systems need that space. The nearest existing parent counts.
    type: list
    elements: path
    default: [/, /var/lib/docker]
  temporary_min_mb:
    description: Least free space in MB in C(/tmp), where that is a file system of its own.
    type: int
    default: 50
  deployed_paths:
    description: The stack is there, or a run has begun, when one of these exists.
    type: list
    elements: path
    default: [/etc/labstack]
  compose_project:
    description: Name of the Compose project whose containers are the stack's own.
    type: str
    default: webapp
  ports:
    description: TCP ports that the stack listens on.
    type: list
    elements: dict
    default: []
    suboptions:
      port:
        description: Port number.
        type: int
        required: true
      owner:
        description:
          - Who may listen there already. A systemd unit, or C(compose) for the containers of
            the Compose project.
        type: str
        required: true
      variable:
        description: The variable that chooses another port; named in the message.
        type: str
  programs:
    description: Programs of C(/usr/bin) of which a role wants to know whether they are there.
    type: list
    elements: str
    default: [restic, rsync]
  cloud_init_timeout:
    description: Seconds to wait for cloud-init.
    type: int
    default: 300
  lock_timeout:
    description: Seconds that package tasks wait for the package manager's lock; for the message.
    type: int
    default: 600
  root:
    description: Where the host's file system begins; another one is for tests.
    type: path
    default: /
author: labstack (@labstack)
"""

EXAMPLES = r"""
- name: Check the host
  labstack.stack.preflight_host:
    supported_systems:
      Ubuntu: ["22.04", "24.04"]
    ports:
      - port: 9090
        owner: prometheus.service
        variable: prometheus_listen_address
"""

RETURN = r"""
ansible_facts:
  description: The facts distribution, distribution_release, distribution_version, os_family
    and architecture, and getent_passwd with the users of C(/etc/passwd), in the form of the module
    M(ansible.builtin.getent); and programs, the names of what is in C(/usr/bin), of O(programs).
  returned: success
  type: dict
memory_mb:
  description: Memory that the host may use, in MB.
  returned: success
  type: int
deployed:
  description: Whether a run has been here before.
  returned: success
  type: bool
dpkg_interrupted:
  description: Whether dpkg was stopped in the middle of its work.
  returned: success
  type: bool
waited_for_cloud_init:
  description: Seconds spent waiting for cloud-init.
  returned: success
  type: float
"""

import os
import platform
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.sys_info import (
    get_distribution,
    get_distribution_codename,
    get_distribution_version,
)

from ..module_utils.http import Client, HttpError
from ..module_utils.problems import Problem, report

MB = 1_000_000
TCP_LISTEN = "0A"  # the state's number in /proc/net/tcp (include/net/tcp_states.h)
# Ports that Docker publishes are held by one of these, or by no process at all.
DOCKER_PROCESSES = ("docker-proxy", "dockerd")
COMPOSE_LABEL = "com.docker.compose.project"


def read(path: Path) -> str:
    """Return a file's text; empty when it cannot be read (a process that ended meanwhile)."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def system_facts(root: Path) -> dict[str, str]:
    """Return what ansible.builtin.setup calls the system; it asks the same functions."""
    distribution = get_distribution() or "unknown"
    debian = (root / "etc/debian_version").exists()
    return {
        "distribution": distribution,
        "distribution_release": get_distribution_codename() or "NA",
        "distribution_version": get_distribution_version() or "NA",
        "os_family": "Debian" if debian else distribution,
        "architecture": platform.machine(),
    }


def check_system(facts: dict[str, str], params: dict[str, Any]) -> list[Problem]:
    """Return the problems of an operating system or architecture that is not supported."""
    problems = []
    distribution, version = facts["distribution"], facts["distribution_version"]
    supported: dict[str, list[str]] = params["supported_systems"]
    # Debian's version is 13.2, a point release of 13.
    if not any(
        version == known or version.startswith(f"{known}.")
        for known in map(str, supported.get(distribution, []))
    ):
        names = ", ".join(
            f"{name} {known}" for name, versions in supported.items() for known in versions
        )
        problems.append(
            Problem(
                f"{distribution} {version} is not supported. Supported: {names}.",
                "launch an instance with one of these images (AWS: Ubuntu Server 22.04 LTS, "
                "64-bit x86)",
            )
        )
    architectures: list[str] = params["supported_architectures"]
    if facts["architecture"] not in architectures:
        problems.append(
            Problem(
                f"The architecture {facts['architecture']} is not supported. Supported: "
                f"{', '.join(architectures)}.",
                "launch an instance with the image's 64-bit form (AWS: t2.micro, t3.micro for x86, "
                "t4g.micro for ARM)",
            )
        )
    return problems


def memory_limit(root: Path) -> int | None:
    """Return the cgroup limit of the whole machine in bytes; None where there is none.

    A container's /proc/meminfo shows the outer machine, so the limits of the cgroup that holds
    PID 1 are looked at, from its own up to the top one that can be seen (v1 and v2).
    """
    limits = []
    for line in read(root / "proc/1/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base, name = root / "sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            base, name = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        group = Path(path.lstrip("/"))
        for part in (group, *group.parents):
            text = read(base / part / name).strip()
            if text.isdigit():
                limits.append(int(text))
    return min(limits, default=None)


def memory(root: Path) -> int:
    """Return the memory that the host may use, in bytes; 0 when it cannot be read."""
    found = re.search(r"^MemTotal:\s+(\d+) kB", read(root / "proc/meminfo"), re.MULTILINE)
    total = int(found.group(1)) * 1024 if found else 0
    limit = memory_limit(root)
    return total if limit is None else min(total, limit)


def check_memory(have: int, need_mb: int) -> list[Problem]:
    """Return the problem of a host with too little memory; `have` in bytes."""
    if have == 0 or have >= need_mb * MB:
        return []
    return [
        Problem(
            f"{have // MB} MB of memory; at least {need_mb} MB are needed "
            "(preflight_memory_min_mb).",
            "launch an instance with 1 GiB or more (AWS: t2.micro, t3.micro; not nano)",
        )
    ]


def nearest_existing(path: Path) -> Path:
    """Return the path, or its nearest parent that exists."""
    return next(part for part in (path, *path.parents) if part.exists())


def check_disk(root: Path, paths: Sequence[str], need_mb: int, deployed: bool) -> list[Problem]:
    """Return the problem of each file system with too little free space, each once."""
    problems = []
    seen = set()
    for name in paths:
        path = nearest_existing(root / name.lstrip("/"))
        device = path.stat().st_dev
        if device in seen:
            continue
        seen.add(device)
        status = os.statvfs(path)
        free = status.f_bavail * status.f_frsize
        if free >= need_mb * MB:
            continue
        variable = "preflight_disk_min_deployed_mb" if deployed else "preflight_disk_min_mb"
        remove = (
            "sudo docker system prune    # removes what no container uses"
            if deployed
            else "AWS console > the instance > Storage > the volume > Modify: 16 GiB, then, on the "
            "host: sudo growpart /dev/xvda 1 && sudo resize2fs /dev/xvda1 (t3: /dev/nvme0n1 1 and "
            "/dev/nvme0n1p1; lsblk shows which)"
        )
        problems.append(
            Problem(
                f"{free // MB} MB free on the file system of {name}; at least {need_mb} MB are "
                f"needed ({variable}).",
                f"see what fills it: sudo du -xh --max-depth=2 {name} | sort -h | tail\n"
                f"sudo apt-get clean; sudo journalctl --vacuum-size=50M\n{remove}",
            )
        )
    return problems


def check_temporary(root: Path, need_mb: int) -> list[Problem]:
    """Return the problem of a full /tmp that is a file system of its own.

    apt says of it that a signature could not be verified.
    """
    path = nearest_existing(root / "tmp")
    status = os.statvfs(path)
    free = status.f_bavail * status.f_frsize
    if path.stat().st_dev == root.stat().st_dev or free >= need_mb * MB:
        return []
    return [
        Problem(
            f"{free // MB} MB free in /tmp; apt, git and Ansible need {need_mb} MB there.",
            "see what fills it: sudo du -ah /tmp | sort -h | tail\n"
            "remove what nobody needs, or restart the host, which empties it: sudo reboot",
        )
    ]


# --- Ports ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Listener:
    """A process that listens on a port.

    Attributes:
        port: TCP port.
        pid: Process id; 0 when it cannot be found (the kernel's own, or another namespace).
        process: The process's name.
        unit: The systemd unit, empty for a process of a login session or a container.
        container: Docker's id of the container it runs in, else empty.
    """

    port: int
    pid: int
    process: str
    unit: str
    container: str


@dataclass(frozen=True)
class Container:
    """A running container: id, name, Compose project, published TCP ports."""

    id: str
    name: str
    project: str
    ports: frozenset[int]


def listening_inodes(root: Path, ports: Sequence[int]) -> dict[int, set[str]]:
    """Return the socket inodes that listen on each of the ports (IPv4 and IPv6)."""
    found: dict[int, set[str]] = {port: set() for port in ports}
    for table in ("tcp", "tcp6"):
        for line in read(root / "proc/net" / table).splitlines()[1:]:
            words = line.split()
            # sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode
            if len(words) < 10 or words[3] != TCP_LISTEN:
                continue
            port = int(words[1].rpartition(":")[2], 16)
            if port in found:
                found[port].add(words[9])
    return found


def holders(root: Path, inodes: set[str]) -> Iterator[tuple[int, str]]:
    """Yield (pid, inode) of the processes that hold the sockets, the lowest pid first."""
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    pids = sorted(int(entry.name) for entry in (root / "proc").iterdir() if entry.name.isdigit())
    for pid in pids:
        try:
            links = list((root / "proc" / str(pid) / "fd").iterdir())
        except OSError:
            continue
        for link in links:
            try:
                target = str(link.readlink())
            except OSError:
                continue
            if target in wanted:
                yield pid, wanted[target]


def cgroup_of(root: Path, pid: int) -> tuple[str, str]:
    """Return the systemd unit and the container id of a process, each empty where there is none."""
    text = read(root / "proc" / str(pid) / "cgroup")
    container = re.search(r"/(?:docker-|docker/)([0-9a-f]{12,64})", text)
    if container:
        return "", container.group(1)
    units = re.findall(r"/([^/\n]+\.(?:service|scope))(?=/|$)", text, re.MULTILINE)
    return next((unit for unit in reversed(units) if unit.endswith(".service")), ""), ""


def listeners(root: Path, ports: Sequence[int]) -> list[Listener]:
    """Return who listens on the ports."""
    by_port = listening_inodes(root, ports)
    port_of = {inode: port for port, inodes in by_port.items() for inode in inodes}
    if not port_of:
        return []
    found: dict[int, Listener] = {}
    for pid, inode in holders(root, set(port_of)):
        port = port_of[inode]
        # A server's children share its socket; the first process is the one to name.
        if port not in found:
            unit, container = cgroup_of(root, pid)
            process = read(root / "proc" / str(pid) / "comm").strip()
            found[port] = Listener(port, pid, process, unit, container)
    for port, inodes in by_port.items():
        if inodes and port not in found:
            found[port] = Listener(port, 0, "", "", "")
    return list(found.values())


def containers(root: Path) -> list[Container]:
    """Return the running containers; none when no Docker Engine answers."""
    try:
        reply = Client(f"unix:{root / 'run/docker.sock'}", timeout=2).ask("GET", "/containers/json")
        return [
            Container(
                id=entry["Id"],
                name=entry["Names"][0].lstrip("/"),
                project=(entry["Labels"] or {}).get(COMPOSE_LABEL, ""),
                ports=frozenset(
                    port.get("PublicPort") for port in entry["Ports"] if port["Type"] == "tcp"
                ),
            )
            for entry in reply.json()
        ]
    except (HttpError, TypeError, LookupError):
        return []


@dataclass(frozen=True)
class Wanted:
    """A port that the stack needs, who may have it already, and the variable that changes it."""

    port: int
    owner: str
    variable: str

    @property
    def service(self) -> str:
        """The owner's name, as a message says it."""
        return "the web application" if self.owner == "compose" else self.owner.split(".")[0]

    def other_port(self) -> str:
        """Return the remedy that chooses another port, where a variable does."""
        return f"\nor choose another port: {self.variable} in group_vars" if self.variable else ""


def check_ports(
    wanted: Sequence[Wanted],
    found: Sequence[Listener],
    running: Sequence[Container],
    project: str,
) -> list[Problem]:
    """Return the problem of each port that is chosen twice, or that a stranger has."""
    problems = []
    by_port = {listener.port: listener for listener in found}
    for want in wanted:
        others = [other for other in wanted if other.port == want.port]
        if len(others) > 1:
            if want is others[0]:
                names = " and ".join(f"{one.service} ({one.variable})" for one in others)
                fix = "choose another port for one of them, in group_vars"
                problems.append(Problem(f"Port {want.port} is chosen twice: for {names}.", fix))
            continue
        holder = next((box for box in running if want.port in box.ports), None)
        listener = by_port.get(want.port)
        if listener is not None and listener.container:
            # A container on the host's own network has no published ports.
            holder = next((b for b in running if b.id.startswith(listener.container)), holder)
        if holder is not None:
            if want.owner != "compose" or holder.project != project:
                problems.append(_taken_by_container(want, holder))
        elif listener is not None and not _is_ours(want, listener):
            own = {other.owner for other in wanted}
            problems.append(_taken_by_process(want, listener, listener.unit in own))
    return problems


def _is_ours(want: Wanted, listener: Listener) -> bool:
    if want.owner == "compose":
        # The engine is stopped or restarting and its proxies still hold the ports, so nobody can
        # say whose they are: what the stack's own containers look like gets the benefit of doubt.
        return listener.process in DOCKER_PROCESSES
    return listener.unit == want.owner


def _taken_by_container(want: Wanted, holder: Container) -> Problem:
    project = f" of the Compose project {holder.project}" if holder.project else ""
    return Problem(
        f"Port {want.port} is taken by the container {holder.name}{project}.",
        f"sudo docker stop {holder.name}    # and remove it, if it is no longer wanted"
        + want.other_port(),
    )


def _taken_by_process(want: Wanted, listener: Listener, own: bool) -> Problem:
    unit = listener.unit
    # What somebody started over SSH may be in the server's own control group.
    if re.fullmatch(r"sshd?(@.*)?\.service", unit) and not listener.process.startswith("sshd"):
        unit = ""
    name = unit.removesuffix(".service")
    who = f"{listener.process} (pid {listener.pid}{f', unit {unit}' if unit else ''})"
    if listener.pid == 0:
        who = "a process that cannot be seen"
        stop = f"sudo ss -ltnp 'sport = :{want.port}'"
    elif listener.pid == 1:
        who = "a socket unit of systemd"
        stop = (
            f"systemctl list-sockets | grep :{want.port}    # then: sudo systemctl disable --now "
            "NAME.socket"
        )
    elif own:
        who = f"the stack's own {name}, which this run would move to another port"
        stop = f"sudo systemctl stop {name}    # this run starts it again on its own port"
    elif unit:
        stop = f"sudo systemctl disable --now {name}"
    else:
        stop = f"sudo kill {listener.pid}"
    return Problem(f"Port {want.port} is taken by {who}.", stop + want.other_port())


# --- Packages ---------------------------------------------------------------------------------


def check_snap_docker(root: Path) -> list[Problem]:
    """Return the problem of a Docker Engine from snap beside the one from apt."""
    if not (root / "snap/bin/docker").exists() and not (root / "snap/docker").exists():
        return []
    return [
        Problem(
            "A Docker Engine is installed as a snap. Two engines fight for the same containers, "
            "ports and networks; the stack uses the one from apt.",
            "sudo snap remove --purge docker    # with its containers and volumes; without --purge "
            "snap keeps a copy of them",
        )
    ]


def dpkg_interrupted(root: Path) -> bool:
    """Say whether dpkg stopped halfway; apt's own test: numbered files of its journal."""
    try:
        entries = list((root / "var/lib/dpkg/updates").iterdir())
    except OSError:
        return False
    return any(entry.name.isdigit() for entry in entries)


def dpkg_lock_holder(root: Path) -> str:
    """Return the name of the process that holds the package manager's lock, or an empty text.

    Read from /proc/locks, so that the lock itself is not touched.
    """
    locks = {}
    for name in ("lock-frontend", "lock"):
        try:
            locks[(root / "var/lib/dpkg" / name).stat().st_ino] = name
        except OSError:
            continue
    for line in read(root / "proc/locks").splitlines():
        # 1: POSIX  ADVISORY  WRITE 1234 fd:01:5678 0 EOF
        found = re.search(r"WRITE\s+(\d+)\s+[0-9a-f]+:[0-9a-f]+:(\d+)\s", line)
        if found and int(found.group(2)) in locks:
            process = read(root / "proc" / found.group(1) / "comm").strip()
            return f"{process or 'a process'} (pid {found.group(1)})"
    return ""


# --- cloud-init -------------------------------------------------------------------------------


def cloud_init_is_running(root: Path) -> bool:
    """Say whether cloud-init has work left in this boot, from the files it keeps in /run."""
    run = root / "run/cloud-init"
    return (
        (run / "enabled").exists()
        and not (run / "disabled").exists()
        and not (run / "result.json").exists()
    )


def wait_for_cloud_init(timeout: float) -> tuple[list[Problem], str]:
    """Wait until cloud-init is done; return the problem of one that is not, and a warning."""
    program = shutil.which("cloud-init")
    if program is None:
        return [], ""
    try:
        done = subprocess.run(
            [program, "status", "--wait"],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return [
            Problem(
                f"cloud-init is still at work after {timeout:g} s (preflight_cloud_init_timeout).",
                "see at what: sudo tail -n 30 /var/log/cloud-init-output.log\n"
                "then the same command again",
            )
        ], ""
    if done.returncode != 0:
        # 1 and 2 mean that something of the image's or the user's own set-up failed: theirs.
        return [], (
            "cloud-init ended with errors; the run goes on. To see them: cloud-init status --long"
        )
    return [], ""


# --- All of it --------------------------------------------------------------------------------


def check_now(params: dict[str, Any], root: Path, deployed: bool) -> list[Problem]:
    """Return the problems of what can change while one waits: disk, ports, packages."""
    need = params["disk_min_deployed_mb"] if deployed else params["disk_min_mb"]
    wanted = [
        Wanted(entry["port"], entry["owner"], entry.get("variable") or "")
        for entry in params["ports"]
    ]
    return [
        *check_disk(root, params["disk_paths"], need, deployed),
        *check_temporary(root, params["temporary_min_mb"]),
        *check_ports(
            wanted,
            listeners(root, [want.port for want in wanted]),
            containers(root),
            params["compose_project"],
        ),
        *check_snap_docker(root),
    ]


def users(root: Path) -> dict[str, list[str]]:
    """Return the users of /etc/passwd: by name, the fields behind it."""
    try:
        lines = (root / "etc/passwd").read_text().splitlines()
    except OSError:
        return {}
    return {name: fields for name, *fields in (line.split(":") for line in lines) if fields}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "supported_systems": {"type": "dict", "required": True},
            "supported_architectures": {
                "type": "list",
                "elements": "str",
                "default": ["x86_64", "aarch64"],
            },
            "memory_min_mb": {"type": "int", "default": 900},
            "disk_min_mb": {"type": "int", "default": 5000},
            "disk_min_deployed_mb": {"type": "int", "default": 500},
            "disk_paths": {
                "type": "list",
                "elements": "path",
                "default": ["/", "/var/lib/docker"],
            },
            "temporary_min_mb": {"type": "int", "default": 50},
            "deployed_paths": {"type": "list", "elements": "path", "default": ["/etc/labstack"]},
            "compose_project": {"type": "str", "default": "webapp"},
            "ports": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "port": {"type": "int", "required": True},
                    "owner": {"type": "str", "required": True},
                    "variable": {"type": "str"},
                },
            },
            "programs": {"type": "list", "elements": "str", "default": ["restic", "rsync"]},
            "cloud_init_timeout": {"type": "int", "default": 300},
            "lock_timeout": {"type": "int", "default": 600},
            "root": {"type": "path", "default": "/"},
        },
        supports_check_mode=True,
    )
    params = module.params
    root = Path(params["root"])
    deployed = any((root / path.lstrip("/")).exists() for path in params["deployed_paths"])
    have = memory(root)
    facts = system_facts(root)
    problems = [
        *check_system(facts, params),
        *check_memory(have, params["memory_min_mb"]),
        *check_now(params, root, deployed),
    ]
    waited = 0.0
    # A host that is refused anyway need not be waited for.
    if not problems and cloud_init_is_running(root):
        begin = time.monotonic()
        problems, warning = wait_for_cloud_init(params["cloud_init_timeout"])
        waited = time.monotonic() - begin
        if warning:
            module.warn(warning)
        problems = problems or check_now(params, root, deployed)
    if problems:
        module.fail_json(msg=report(problems, " of the host"))
    holder = dpkg_lock_holder(root)
    if holder:
        module.warn(
            f"{holder} holds the package manager's lock, as Ubuntu's automatic updates do after a "
            f"start. Package tasks wait for it, up to {params['lock_timeout']} s."
        )
    interrupted = dpkg_interrupted(root)
    if interrupted:
        module.warn(
            "dpkg was stopped in the middle of its work. Should a package task fail for it: "
            "sudo dpkg --configure -a"
        )
    module.exit_json(
        changed=False,
        ansible_facts={
            **facts,
            "getent_passwd": users(root),
            "programs": [name for name in params["programs"] if (root / "usr/bin" / name).exists()],
        },
        memory_mb=have // MB,
        deployed=deployed,
        dpkg_interrupted=interrupted,
        waited_for_cloud_init=round(waited, 1),
    )


if __name__ == "__main__":
    main()
