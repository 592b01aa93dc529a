#!/usr/bin/python
"""Ansible module: checks the controller and the way to the host before anything is changed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight_controller
short_description: Check the controller and the way to the host
description:
  - Runs on the controller and changes nothing on the host. A host key that was never seen is
    written to known_hosts, as the first login of the run would do.
  - Tells apart why a host cannot be reached or logged in to, and says what to type next.
  - Problems that can be seen together are reported together.
options:
  address:
    description: The host's address or name, as C(ansible_host) has it.
    type: str
    required: true
  port:
    description: SSH port; 0 leaves it to ssh and its configuration.
    type: int
    default: 0
  user:
    description: Login name; empty leaves it to ssh and its configuration.
    type: str
    default: ""
  private_key_file:
    description: Private key; empty leaves it to ssh's own keys and the agent.
    type: path
    default: ""
  ssh_args:
    description: Arguments for ssh, in a shell's notation, in the order of the connection plugin.
    type: list
    elements: str
    default: []
  ssh_executable:
    description: The ssh program.
    type: str
    default: ssh
  connection:
    description: The host's connection plugin. With anything but ssh only the controller is checked.
    type: str
    default: ssh
  password_login:
    description: The connection logs in with a password, so that a login without one proves nothing.
    type: bool
    default: false
  python_interpreter:
    description: The host's Python; a value that begins with C(auto) stands for python3.
    type: str
    default: /usr/bin/python3
  usual_users:
    description: Login names to try with the same key when the given one is refused.
    type: list
    elements: str
    default: [ubuntu, admin]
  connect_timeout:
    description: Seconds to wait for the port and for the server's greeting.
    type: float
    default: 2.5
  login_timeout:
    description: Seconds to wait for a login once the server has greeted.
    type: float
    default: 15
  empty_secrets:
    description: Names (never values) of the variables vault_* that are set but empty.
    type: list
    elements: str
    default: []
  ansible_version:
    description: The controller's ansible-core.
    type: str
    required: true
  ansible_version_min:
    description: The oldest ansible-core that will do.
    type: str
    required: true
  controller_python:
    description: The Python that runs Ansible.
    type: path
    required: true
  collections:
    description: Collections that the playbooks need.
    type: list
    elements: str
    default: []
  collections_paths:
    description: Folders where Ansible looks for collections, besides its Python's packages.
    type: list
    elements: path
    default: []
  python_modules:
    description: Python modules that the controller needs.
    type: list
    elements: str
    default: []
  command:
    description: The command to type again after a problem is solved.
    type: str
    default: ./lab run ansible-playbook site.yml
author: labstack
"""

EXAMPLES = r"""
- name: Check the way to the host
  labstack.stack.preflight_controller:
    address: "{{ ansible_host }}"
    user: ubuntu
    ansible_version: "{{ ansible_version.full }}"
    ansible_version_min: "2.19"
    controller_python: "{{ ansible_playbook_python }}"
  delegate_to: localhost
  become: false
"""

RETURN = r"""
python:
  description: Version of the host's Python, as major.minor; empty when no login was tried.
  returned: success
  type: str
sudo:
  description:
    - "root: the login needs none. ok: it works without a password. refused: it does not, and
      whether the run has a password only a task with become can find out. unchecked: no login was
      tried."
  returned: success
  type: str
"""

import base64
import ipaddress
import json
import os
import re
import shlex
import shutil
import socket
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from ansible.module_utils.basic import AnsibleModule

T = TypeVar("T")

# ansible-core 2.19 to 2.21 need at least this Python on the host.
HOST_PYTHON_MIN = (3, 9)

# Marks the probe's own lines among whatever a login prints.
MARK = "labstack-probe:"

HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?")
NUMBERS_AND_DOTS = re.compile(r"[0-9.]+")
IPV4_INSIDE = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")


@dataclass(frozen=True)
class Problem:
    """One reason not to start.

    Attributes:
        what: What is wrong, and in which variable or file.
        fix: What to do, with the command to type; one step a line.
    """

    what: str
    fix: str


def report(problems: Sequence[Problem]) -> str:
    """Return the message that shows all problems, numbered, each with its remedy."""
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    lines = [f"{count}, found before anything was changed:"]
    for number, problem in enumerate(problems, 1):
        what = problem.what.replace("\n", "\n   ")
        lines.append(f"\n{number}. {what}")
        lines += [f"   -> {line}" for line in problem.fix.splitlines()]
    return "\n".join(lines)


class _Bounded(Generic[T]):
    """Runs a call in a daemon thread, so that a call which hangs cannot hold up the exit."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._value: list[T] = []
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._value.append(self._call())
        except OSError as error:
            self._error = error

    def result(self, timeout: float) -> T:
        """Return the call's value; OSError is passed on, TimeoutError means not in time."""
        self._thread.join(max(0.0, timeout))
        if self._error is not None:
            raise self._error
        if not self._value:
            raise TimeoutError
        return self._value[0]


@dataclass(frozen=True)
class Target:
    """How to reach the host, as the playbook's connection does it."""

    address: str
    port: int = 0
    user: str = ""
    key: str = ""
    args: tuple[str, ...] = ()
    executable: str = "ssh"
    connect_timeout: float = 2.5
    login_timeout: float = 15.0
    command: str = "./lab run ansible-playbook site.yml"

    def again(self, address: str = "") -> str:
        """Return the command that starts the run again, for a host whose address is typed."""
        return f"EC2_IP={address or self.address} {self.command}"

    def ssh(self, *options: str, user: str = "") -> list[str]:
        """Return an ssh command line; `options` win over the connection's own arguments."""
        line = [self.executable, *options, *self.args]
        if self.port:
            line += ["-p", str(self.port)]
        if self.key:
            line += ["-i", self.key]
        if user or self.user:
            line += ["-l", user or self.user]
        return line

    def by_hand(self, *options: str) -> str:
        """Return the login as a person would type it."""
        line = ["ssh", *options]
        if self.key:
            line += ["-i", self.key]
        if self.port and self.port != 22:
            line += ["-p", str(self.port)]
        line.append(f"{self.user}@{self.address}" if self.user else self.address)
        return shlex.join(line)


# --- The controller ---------------------------------------------------------------------------


def version_tuple(text: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: '2.19.0rc1' gives (2, 19, 0)."""
    found = re.match(r"\d+(?:\.\d+)*", text)
    return tuple(int(part) for part in found.group().split(".")) if found else ()


def missing_on_controller(
    python: str, collections: Sequence[str], paths: Sequence[str], modules: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Return the collections and the Python modules that the controller lacks.

    The question is put to the Python that runs Ansible, which need not be the one that runs this
    module. Raises OSError when that Python cannot be started.
    """
    code = (
        "import importlib.util, json, sys; "
        "print(json.dumps([sys.path, "
        "[m for m in sys.argv[1:] if importlib.util.find_spec(m) is None]]))"
    )
    answer = subprocess.run(
        [python, "-c", code, *modules], capture_output=True, text=True, check=True, timeout=10
    )
    search, missing = json.loads(answer.stdout)
    roots: list[str] = [*paths, *search]

    def installed(collection: str) -> bool:
        below = Path("ansible_collections", *collection.split("."))
        # A configured path may name the folder ansible_collections itself.
        return any(
            Path(root, below).is_dir() or Path(root).parent.joinpath(below).is_dir()
            for root in roots
            if root
        )

    return [name for name in collections if not installed(name)], missing


def check_controller(params: dict[str, Any]) -> list[Problem]:
    """Return the problems of the controller: versions, collections, modules, empty secrets."""
    problems = []
    have, need = params["ansible_version"], params["ansible_version_min"]
    setup = (
        "./lab run brings its own Ansible: "
        f"{params['command']}\n"
        "with your own: pip install --require-hashes -r requirements/run.txt"
    )
    if version_tuple(have) < version_tuple(need):
        problems.append(
            Problem(f"ansible-core {have} is older than {need}, which the playbooks need.", setup)
        )
    try:
        collections, modules = missing_on_controller(
            params["controller_python"],
            params["collections"],
            params["collections_paths"],
            params["python_modules"],
        )
    except (OSError, subprocess.SubprocessError, ValueError):
        # Not being able to look is no reason to refuse: a missing module fails where it is used.
        collections, modules = [], []
    if collections:
        names = " ".join(collections)
        problems.append(
            Problem(
                f"Ansible collection missing on this computer: {', '.join(collections)}.",
                f"{setup}\nor the collection alone: ansible-galaxy collection install {names}",
            )
        )
    if modules:
        problems.append(
            Problem(
                f"Python module missing beside Ansible ({params['controller_python']}): "
                f"{', '.join(modules)}.",
                setup,
            )
        )
    for name in params["empty_secrets"]:
        problems.append(
            Problem(
                f"{name} is set but empty. An empty password is never taken.",
                f'give it a value ({name}: "at least 12 characters", in a file of ansible-vault),\n'
                "or remove the line: the host then makes a password of its own",
            )
        )
    return problems


# --- The address ------------------------------------------------------------------------------


def is_ip(text: str) -> bool:
    """Say whether the text is an IPv4 or IPv6 address (a zone as in fe80::1%eth0 is allowed)."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def check_address(target: Target) -> list[Problem]:
    """Return the problem of an address that is empty or no address; empty list when it is one."""
    text = target.address
    if not text.strip():
        return [
            Problem(
                "No address: ansible_host is empty, because EC2_IP is not set.",
                'copy "Public IPv4 address" from the instance\'s page in the AWS console, then:\n'
                + target.again("203.0.113.7"),
            )
        ]
    looks_like_ip = NUMBERS_AND_DOTS.fullmatch(text) is not None
    if is_ip(text) or (HOST_NAME.fullmatch(text) and not looks_like_ip and len(text) <= 253):
        return []
    inside = [found for found in IPV4_INSIDE.findall(text) if is_ip(found)]
    example = inside[0] if len(inside) == 1 else "203.0.113.7"
    return [
        Problem(
            f"{text!r} is no address (ansible_host, from EC2_IP): an IP address or a host name "
            "is wanted, without user, port or http://.",
            target.again(example),
        )
    ]


@dataclass(frozen=True)
class Route:
    """What ssh makes of the address, its configuration included (`ssh -G`).

    Attributes:
        host: The name or address that ssh connects to.
        port: TCP port.
        proxied: Whether the way leads through a jump host or a command.
        known_hosts: First file of known host keys.
        key_name: The name under which the host's key is filed.
        alias: The same, where it is none of the address's (HostKeyAlias).
        keys: Private key files that ssh would try.
    """

    host: str
    port: int
    proxied: bool = False
    known_hosts: str = "~/.ssh/known_hosts"
    key_name: str = ""
    alias: str = ""
    keys: tuple[str, ...] = field(default=())


def route(target: Target) -> Route:
    """Ask ssh for the way to the host; where ssh cannot say, the plain address and port."""
    plain = Route(target.address, target.port or 22, key_name=target.address)
    try:
        answer = subprocess.run(
            [*target.ssh(), "-G", target.address],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return plain
    values: dict[str, list[str]] = {}
    for line in answer.stdout.splitlines():
        key, _, value = line.partition(" ")
        values.setdefault(key, []).append(value)
    if answer.returncode != 0 or "hostname" not in values:
        return plain

    def first(key: str, default: str) -> str:
        return values.get(key, [default])[0]

    port = int(first("port", str(plain.port)))
    alias = first("hostkeyalias", "")
    name = alias or (target.address if port == 22 else f"[{target.address}]:{port}")
    return Route(
        host=first("hostname", target.address),
        port=port,
        proxied=any(first(key, "none") != "none" for key in ("proxyjump", "proxycommand")),
        known_hosts=first("userknownhostsfile", plain.known_hosts).split(" ")[0],
        key_name=name,
        alias=alias,
        keys=tuple(values.get("identityfile", [])),
    )


AWS_STEPS = (
    'AWS console > EC2 > Instances: is its state "Running"? Start it if not (a Learner Lab stops '
    "it at the end of a session)\n"
    'its "Public IPv4 address" is a new one after each stop and start; with the new one: '
)


def check_port(target: Target, way: Route) -> list[Problem]:
    """Return the problem of a host whose SSH port does not answer; names are resolved first."""
    limit = time.monotonic() + target.connect_timeout
    where = f"{way.host} port {way.port}"
    try:
        addresses = _Bounded(
            lambda: socket.getaddrinfo(way.host, way.port, type=socket.SOCK_STREAM)
        ).result(limit - time.monotonic())
    except (OSError, UnicodeError):
        return [
            Problem(
                f"The name {way.host!r} (ansible_host, from EC2_IP) cannot be resolved to an "
                "address.",
                "check the spelling and this computer's network, or give the IP address:\n"
                + target.again("203.0.113.7"),
            )
        ]

    def connect(family: int, sockaddr: Any) -> bool:
        with socket.socket(family, socket.SOCK_STREAM) as connection:
            connection.settimeout(max(0.1, limit - time.monotonic()))
            connection.connect(sockaddr)
        return True

    tries = [_Bounded(partial(connect, family, to)) for family, _, _, _, to in addresses]
    errors: list[OSError] = []
    for attempt in tries:
        try:
            attempt.result(limit + 0.2 - time.monotonic())
        except OSError as error:
            errors.append(error)
        else:
            return []
    if any(isinstance(error, ConnectionRefusedError) for error in errors):
        return [
            Problem(
                f"{where} refuses the connection: the machine answers, but no SSH server does.",
                "a machine that has just started needs a minute: wait, then the same command "
                "again\n"
                "another port? set ansible_port for the host in inventory/ec2.yml\n"
                "another machine's address? with the right one: " + target.again("203.0.113.7"),
            )
        ]
    if all(isinstance(error, TimeoutError) for error in errors):
        return [
            Problem(
                f"{where} does not answer within {target.connect_timeout:g} s. The instance is "
                "stopped, or has a new public IP,\nor its security group does not let SSH (22) in "
                "from your network.",
                AWS_STEPS
                + target.again("203.0.113.7")
                + '\nthe instance > Security > its security group: an inbound rule "SSH, TCP 22, '
                'My IP" is needed',
            )
        ]
    return [
        Problem(
            f"{where} cannot be reached: {errors[-1].strerror or errors[-1]}.",
            "check this computer's network (Wi-Fi, VPN), then the address:\n"
            + AWS_STEPS
            + target.again("203.0.113.7"),
        )
    ]


# --- The key ----------------------------------------------------------------------------------

# As inventory/ec2.yml reads it; other inventories set the connection variable itself.
KEY_VARIABLE = "EC2_KEY (ansible_ssh_private_key_file)"


def key_is_encrypted(text: str) -> bool:
    """Say whether a private key's text asks for a passphrase (PEM and OpenSSH's own format)."""
    if "ENCRYPTED" in text:
        return True
    body = "".join(line for line in text.splitlines() if line and not line.startswith("-----"))
    if "BEGIN OPENSSH PRIVATE KEY" not in text:
        return False
    try:
        raw = base64.b64decode(body)
    except ValueError:
        return False
    # PROTOCOL.key of OpenSSH: "openssh-key-v1\0", then the cipher's name with a 4-byte length.
    magic = b"openssh-key-v1\0"
    if not raw.startswith(magic):
        return False
    start = len(magic) + 4
    length = int.from_bytes(raw[len(magic) : start], "big")
    return raw[start : start + length] != b"none"


def check_key(target: Target) -> list[Problem]:
    """Return the problem of the private key file that can be seen without the host."""
    if not target.key:
        return []
    path = Path(target.key).expanduser()
    shown = shlex.quote(str(path))
    try:
        status = path.stat()
        text = path.read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return [
            Problem(
                f"{KEY_VARIABLE} names a file that does not exist: {path}",
                "the Learner Lab's key: AWS Details > Download PEM gives labsuser.pem, then:\n"
                f"mv ~/Downloads/labsuser.pem {shown} && chmod 600 {shown}",
            )
        ]
    except OSError as error:
        return [
            Problem(f"{KEY_VARIABLE}: {path} cannot be read: {error.strerror}.", f"ls -l {shown}")
        ]
    if "PRIVATE KEY" not in text:
        return [_not_a_private_key(path, text)]
    # The rule of OpenSSH's sshkey_perm_ok: only a file of one's own is looked at.
    if status.st_uid == os.getuid() and stat.S_IMODE(status.st_mode) & 0o077:
        return [_key_too_open(path, stat.S_IMODE(status.st_mode))]
    return []


def _not_a_private_key(path: Path, text: str) -> Problem:
    if "PuTTY-User-Key-File" in text:
        return Problem(
            f"{path} is a key for PuTTY (.ppk), which ssh does not read.",
            "download the PEM form, or: "
            f"puttygen {shlex.quote(str(path))} -O private-openssh -o labsuser.pem",
        )
    public = text.startswith(("ssh-", "ecdsa-"))
    return Problem(
        f"{KEY_VARIABLE}: {path} is {'the public half of a key' if public else 'no key'}; the "
        'private key is wanted (it begins with "-----BEGIN").',
        "EC2_KEY="
        + (str(path.with_suffix("")) if path.suffix == ".pub" else "~/Downloads/labsuser.pem")
        + " before the command",
    )


def _key_too_open(path: Path, mode: int | None = None) -> Problem:
    have = f" (mode {mode:04o})" if mode is not None else ""
    return Problem(
        f"The private key {path} can be read by others{have}; ssh refuses such a key.",
        f"chmod 600 {shlex.quote(str(path))}",
    )


# --- The login --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """What an ssh call gave: exit code (None when it was stopped), and its output."""

    code: int | None
    out: str
    err: str

    def marks(self) -> dict[str, str]:
        """Return the probe's own findings, by name."""
        found = {}
        for line in self.out.splitlines():
            if line.startswith(MARK):
                name, _, value = line.removeprefix(MARK).partition("=")
                found[name] = value.strip()
        return found

    def logged_in(self) -> bool:
        """Say whether the probe's script ran on the host."""
        return "login" in self.marks()


def probe_script(python: str) -> str:
    """Return the POSIX shell script that the login runs: it only reads."""
    if python.startswith("auto") or not python:
        python = "python3"
    version = 'import sys; print("%d.%d" % sys.version_info[:2])'
    return (
        f"echo {MARK}login=yes; "
        f'echo "{MARK}python=$({shlex.quote(python)} -c {shlex.quote(version)} 2>/dev/null)"; '
        'if [ "$(id -u)" = 0 ]; then s=root; '
        "elif ! command -v sudo >/dev/null; then s=absent; "
        "elif sudo -n true 2>/dev/null; then s=ok; else s=refused; fi; "
        f'echo "{MARK}sudo=$s"; '
        f'test -r /etc/os-release && . /etc/os-release; echo "{MARK}system=$PRETTY_NAME"'
    )


def login(target: Target, script: str, user: str = "") -> Answer:
    """Log in with a connection of its own and run the script; no question is ever asked."""
    line = target.ssh(
        "-o", "BatchMode=yes",
        "-o", "ControlMaster=no",
        "-o", "ControlPath=none",
        "-o", "LogLevel=INFO",
        "-o", f"ConnectTimeout={max(1, int(target.connect_timeout))}",
        user=user,
    )  # fmt: skip
    line += ["-o", "StrictHostKeyChecking=accept-new", target.address, script]
    try:
        done = subprocess.run(
            line,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=target.login_timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Answer(None, "", "")
    return Answer(done.returncode, done.stdout, done.stderr)


def own_words(text: str, limit: int = 5) -> str:
    """Return the last lines of ssh's output, without banners and what says nothing here."""
    lines = [line.strip() for line in text.splitlines()]
    lines = [
        line
        for line in lines
        if line and not set(line) <= {"@"} and "Permanently added" not in line
    ]
    return "\n".join(lines[-limit:])


@dataclass(frozen=True)
class Failure:
    """A login that failed, and what is needed to explain it."""

    target: Target
    way: Route
    answer: Answer
    usual_users: tuple[str, ...] = ()

    @property
    def user(self) -> str:
        """The login name, as a message says it."""
        return self.target.user or "the login name of this computer"


def explain_changed_key(failure: Failure) -> Problem:
    """Explain a host key that is not the known one."""
    target, way, err = failure.target, failure.way, failure.answer.err
    offending = re.search(r"Offending .*key in (.+):\d+", err)
    known_hosts = offending.group(1) if offending else str(Path(way.known_hosts).expanduser())
    print_found = re.search(r"(SHA256:[A-Za-z0-9+/=]+)", err)
    fingerprint = f"\nThe key it shows now: {print_found.group(1)}" if print_found else ""
    forget = shlex.join(["ssh-keygen", "-f", known_hosts, "-R", way.key_name])
    if way.alias:
        return Problem(
            f"{target.address} is another machine than {way.alias}: it shows another host key."
            f"{fingerprint}\nUsual cause: the address changed hands a moment ago. If it did not, "
            "someone may be listening in.",
            "is it the instance's address? ./lab ec2 status\n"
            f"only if its system was installed anew, forget the old key: {forget}\n"
            "then the same command again",
        )
    return Problem(
        f"{target.address} is not the machine that was known under this address: its host key has "
        f"changed.{fingerprint}\nUsual cause: a new instance or a new lab got an address that an "
        "older machine had. If neither is the case, someone may be listening in.",
        f"if it is a new machine, forget the old key: {forget}\nthen the same command again",
    )


def user_that_fits(failure: Failure) -> str | None:
    """Return the usual login name that gets in where the given one does not, if one does."""
    attempts = {
        name: _Bounded(partial(login, failure.target, f"echo {MARK}login=yes", name))
        for name in failure.usual_users
        if name != failure.target.user
    }
    for name, running in attempts.items():
        try:
            if running.result(failure.target.connect_timeout).logged_in():
                return name
        except OSError:
            continue
    return None


def explain_permission_denied(failure: Failure) -> Problem:
    """Tell a wrong user from a wrong key, by trying the usual users with the same key."""
    target, user = failure.target, failure.user
    right = user_that_fits(failure)
    if right:
        return _wrong_user(user, right)
    words = own_words(failure.answer.err)
    if not target.key:
        own = ", ".join(key for key in failure.way.keys if Path(key).expanduser().exists())
        return Problem(
            f"{target.address} refuses the login of {user}: no key was named, and "
            f"{f'these do not fit: {own}' if own else 'there is none in ~/.ssh'}.\n"
            f"ssh says: {words}",
            "name the instance's key (the Learner Lab's is labsuser.pem, from AWS Details > "
            f"Download PEM):\nEC2_KEY=~/Downloads/labsuser.pem {target.again()}",
        )
    # ssh names a key that it could not use only in passing, before "Permission denied".
    if re.search(r"incorrect passphrase|invalid format|error in libcrypto", words):
        return Problem(
            f"The private key {target.key} cannot be used.\nssh says: {words}",
            f"ssh-keygen -y -f {shlex.quote(target.key)}    # a good key prints its public half\n"
            "broken on the way? download it again: AWS Details > Download PEM",
        )
    if _encrypted(target.key):
        return Problem(
            f"The private key {target.key} asks for a passphrase, which a run cannot type.",
            f'eval "$(ssh-agent)"; ssh-add {shlex.quote(target.key)}\nthen the same command again',
        )
    others = ", ".join(name for name in failure.usual_users if name != target.user)
    return Problem(
        f"{target.address} refuses the login of {user} with the key {target.key}.\n"
        f"The same key was tried for: {others or 'nobody else'}. So it is not this machine's key, "
        f"or the user is yet another one.\nssh says: {words}",
        'AWS console > the instance > "Key pair assigned at launch" (vockey is labsuser.pem); with '
        f"its file: EC2_KEY=~/Downloads/labsuser.pem {target.again()}\n"
        f"to see what happens: {target.by_hand('-v')}",
    )


def _encrypted(key: str) -> bool:
    try:
        text = Path(key).expanduser().read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return key_is_encrypted(text)


def _wrong_user(user: str, right: str) -> Problem:
    return Problem(
        f"The key is right, the user is not: {user} is refused, {right} gets in.",
        f"EC2_USER={right} before the command (ansible_user in another inventory)",
    )


def explain_told_user(failure: Failure) -> Problem:
    """Cloud images answer a login as root with the name to use, and end the session."""
    answer = failure.answer
    told = re.search(TOLD_USER, answer.out + answer.err)
    return _wrong_user(failure.user, told.group(1) if told else "ubuntu")


def explain_unknown_key(failure: Failure) -> Problem:
    """Explain a host key that the ssh configuration forbids to take."""
    return Problem(
        f"The host key of {failure.target.address} is not known, and the ssh configuration "
        f"forbids taking a new one.\nssh says: {own_words(failure.answer.err)}",
        f"log in once by hand and answer yes: {failure.target.by_hand()}\n"
        "or set StrictHostKeyChecking=accept-new, as ansible.cfg has it",
    )


def explain_key_permissions(failure: Failure) -> Problem:
    """Explain a key file that others can read, named by ssh (a key of ssh's own configuration)."""
    named = re.search(r"[Pp]ermissions (\d+) for '(.+)' are too open", failure.answer.err)
    if named:
        return _key_too_open(Path(named.group(2)), int(named.group(1), 8))
    return _key_too_open(Path(failure.target.key))


def explain_key_missing(failure: Failure) -> Problem:
    """Explain a key file that does not exist, named by ssh's configuration."""
    named = re.search(KEY_MISSING, failure.answer.err)
    name = (named.group(1) or named.group(2)) if named else failure.target.key
    return Problem(
        f"The private key {name} does not exist.",
        f"put the instance's key there (chmod 600), or name another: {KEY_VARIABLE}",
    )


def explain_too_many_keys(failure: Failure) -> Problem:
    """Explain an agent that uses up the server's patience."""
    return Problem(
        f"{failure.target.address} ends the login of {failure.user}: the ssh agent offers too many "
        "keys before the right one.",
        "name the key (EC2_KEY=~/Downloads/labsuser.pem before the command) and add to the "
        "command: --ssh-common-args='-o IdentitiesOnly=yes'\nor empty the agent: ssh-add -D",
    )


def explain_greeting(failure: Failure) -> Problem:
    """Explain a connection that ends before any login: by the server, or by a jump host."""
    words = own_words(failure.answer.err)
    by_hand = failure.target.by_hand("-v")
    if failure.way.proxied:
        return Problem(
            f"The way to {failure.target.address} through the jump host or proxy of the ssh "
            f"configuration does not work.\nssh says: {words}",
            f"to see where it ends: {by_hand}",
        )
    return Problem(
        f"{failure.way.host} port {failure.way.port} takes the connection and then ends it or says "
        f"nothing: its SSH server is still starting, or is overloaded.\nssh says: {words}",
        f"wait a minute, then the same command again\nto see more: {by_hand}",
    )


TOLD_USER = r'[Pp]lease login as the user "([^"]+)"'
KEY_MISSING = r"(?:Identity file (.+?) not accessible|no such identity: (.+?)): No such file"

# What ssh or the host says, and who explains it. The first that fits counts.
EXPLANATIONS: tuple[tuple[str, Callable[[Failure], Problem]], ...] = (
    (TOLD_USER, explain_told_user),
    (r"REMOTE HOST IDENTIFICATION HAS CHANGED", explain_changed_key),
    (r"Host key verification failed", explain_unknown_key),
    (r"UNPROTECTED PRIVATE KEY FILE|bad permissions", explain_key_permissions),
    (KEY_MISSING, explain_key_missing),
    (r"Too many authentication failures", explain_too_many_keys),
    (r"Permission denied", explain_permission_denied),
    (r"banner exchange|kex_exchange_identification|Connection (closed|reset)", explain_greeting),
)


def explain_login(failure: Failure) -> Problem:
    """Return the problem behind a login that failed, judged by ssh's own messages."""
    target, answer = failure.target, failure.answer
    if answer.code is None:
        return Problem(
            f"The login on {target.address} hangs: no answer within {target.login_timeout:g} s "
            "after the connection stood. The machine is overloaded or out of memory.",
            "AWS console > the instance > Instance state > Reboot, wait a minute, then the same "
            f"command again\nto see where it hangs: {target.by_hand('-v')}",
        )
    said = answer.out + answer.err
    for pattern, explain in EXPLANATIONS:
        if re.search(pattern, said):
            return explain(failure)
    # 255 is ssh's own failure; anything else came from the host.
    if answer.code != 255:
        return Problem(
            f"{failure.user} may log in on {target.address}, but not run a command there "
            f"(exit code {answer.code}).\nThe host says: {own_words(said)}",
            "another user? EC2_USER=ubuntu before the command (ansible_user)\n"
            f"to see more: {target.by_hand()}",
        )
    return Problem(
        f"No login on {target.address} as {failure.user}.\nssh says: {own_words(answer.err)}",
        f"to see more: {target.by_hand('-v')}",
    )


def check_session(target: Target, marks: dict[str, str], python: str) -> list[Problem]:
    """Return the problems of a session without what Ansible needs: a new enough Python, sudo."""
    problems = []
    system = marks.get("system") or "unknown system"
    have = marks.get("python", "")
    need = ".".join(map(str, HOST_PYTHON_MIN))
    if not have:
        problems.append(
            Problem(
                f"{python} does not exist on the host ({system}).",
                f"{target.by_hand()} sudo apt-get install -y python3",
            )
        )
    elif version_tuple(have) < HOST_PYTHON_MIN:
        problems.append(
            Problem(
                f"Python {have} on the host ({system}) is older than {need}: the system is too "
                "old.",
                "launch an instance with Ubuntu 22.04 or newer",
            )
        )
    if marks.get("sudo") == "absent":
        problems.append(
            Problem(
                f"There is no sudo on the host, and {target.user} is not root.",
                "log in as root and: apt-get install -y sudo\nor set ansible_user: root",
            )
        )
    return problems


# --- All of it --------------------------------------------------------------------------------


def check_way(target: Target, params: dict[str, Any]) -> tuple[list[Problem], dict[str, str]]:
    """Return the problems on the way from the address to sudo, and what the login found."""
    problems = check_address(target) + check_key(target)
    if shutil.which(target.executable) is None:
        problems.append(
            Problem(
                f"There is no {target.executable} on this computer.",
                "sudo apt-get install -y openssh-client    # Debian, Ubuntu, WSL",
            )
        )
    elif not check_address(target):
        way = route(target)
        # Through a jump host the port cannot be tried from here.
        closed = [] if way.proxied else check_port(target, way)
        if not closed and not problems and not params["password_login"]:
            return check_login(target, way, params)
        problems += closed
    return problems, {}


def check_login(
    target: Target, way: Route, params: dict[str, Any]
) -> tuple[list[Problem], dict[str, str]]:
    """Log in for real; return the problems, and what the login found."""
    answer = login(target, probe_script(params["python_interpreter"]))
    if not answer.logged_in():
        return [explain_login(Failure(target, way, answer, tuple(params["usual_users"])))], {}
    marks = answer.marks()
    return check_session(target, marks, params["python_interpreter"]), marks


def check(params: dict[str, Any]) -> tuple[list[Problem], dict[str, str]]:
    """Return all problems, and the probe's findings when a login was made."""
    problems = check_controller(params)
    if params["connection"] not in ("ssh", "smart", "ansible.builtin.ssh"):
        return problems, {}
    target = Target(
        address=params["address"],
        port=params["port"],
        user=params["user"],
        key=params["private_key_file"],
        args=tuple(word for text in params["ssh_args"] for word in shlex.split(text)),
        executable=params["ssh_executable"],
        connect_timeout=params["connect_timeout"],
        login_timeout=params["login_timeout"],
        command=params["command"],
    )
    way_problems, marks = check_way(target, params)
    return problems + way_problems, marks


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "address": {"type": "str", "required": True},
            "port": {"type": "int", "default": 0},
            "user": {"type": "str", "default": ""},
            "private_key_file": {"type": "path", "default": ""},
            "ssh_args": {"type": "list", "elements": "str", "default": []},
            "ssh_executable": {"type": "str", "default": "ssh"},
            "connection": {"type": "str", "default": "ssh"},
            "password_login": {"type": "bool", "default": False, "no_log": False},
            "python_interpreter": {"type": "str", "default": "/usr/bin/python3"},
            "usual_users": {"type": "list", "elements": "str", "default": ["ubuntu", "admin"]},
            "connect_timeout": {"type": "float", "default": 2.5},
            "login_timeout": {"type": "float", "default": 15.0},
            "empty_secrets": {
                "type": "list",
                "elements": "str",
                "default": [],
                # Names of variables, which Ansible would otherwise take for secrets.
                "no_log": False,
            },
            "ansible_version": {"type": "str", "required": True},
            "ansible_version_min": {"type": "str", "required": True},
            "controller_python": {"type": "path", "required": True},
            "collections": {"type": "list", "elements": "str", "default": []},
            "collections_paths": {"type": "list", "elements": "path", "default": []},
            "python_modules": {"type": "list", "elements": "str", "default": []},
            "command": {"type": "str", "default": "./lab run ansible-playbook site.yml"},
        },
        supports_check_mode=True,
    )
    problems, marks = check(module.params)
    if problems:
        module.fail_json(msg=report(problems))
    module.exit_json(
        changed=False, python=marks.get("python", ""), sudo=marks.get("sudo", "unchecked")
    )


if __name__ == "__main__":
    main()
