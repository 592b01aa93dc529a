"""Why a host cannot be reached or logged in to over SSH, and what to type next."""

from __future__ import annotations

import base64
import contextlib
import ipaddress
import os
import re
import shlex
import shutil
import socket
import stat
import subprocess
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from .problems import Problem

# Marks the probe's own line among whatever a login prints.
MARK = "labstack-probe:"
# A POSIX shell script that only reads: whether sudo asks for a password.
PROBE = (
    'if [ "$(id -u)" = 0 ]; then s=root; elif sudo -n true 2>/dev/null; then s=ok; '
    f"else s=refused; fi; echo {MARK}$s"
)
# As inventory/ec2.yml reads it; other inventories set the connection variable itself.
KEY_VARIABLE = "EC2_KEY (ansible_ssh_private_key_file)"
EXAMPLE = "203.0.113.7"
AWS_STEPS = (
    'AWS console > EC2 > Instances: is its state "Running"? Start it if not (a Learner Lab stops '
    "it at the end of a session)\n"
    'its "Public IPv4 address" is a new one after each stop and start; with the new one: '
)
HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?")
IPV4_INSIDE = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")


@dataclass(frozen=True)
class Target:
    """How to reach the host, as the playbook's connection does it; times in seconds."""

    address: str
    port: int = 0
    user: str = ""
    key: str = ""
    args: tuple[str, ...] = ()
    executable: str = "ssh"
    connect_timeout: float = 2.5
    login_timeout: float = 15.0
    usual_users: tuple[str, ...] = ()
    command: str = "./lab run ansible-playbook site.yml"

    def again(self, address: str = "") -> str:
        """Return the command that starts the run again, for a host whose address is typed."""
        return f"EC2_IP={address or self.address} {self.command}"

    def ssh(self, *options: str, user: str = "") -> list[str]:
        """Return an ssh command line; `options` win over the connection's own arguments."""
        line = [self.executable, *options, *self.args]
        line += ["-p", str(self.port)] if self.port else []
        line += ["-i", self.key] if self.key else []
        return line + (["-l", user or self.user] if user or self.user else [])

    def by_hand(self, *options: str) -> str:
        """Return the login as a person would type it."""
        line = ["ssh", *options]
        line += ["-i", self.key] if self.key else []
        line += ["-p", str(self.port)] if self.port and self.port != 22 else []
        return shlex.join([*line, f"{self.user}@{self.address}" if self.user else self.address])


# --- The address and the port ---------------------------------------------------------------------


def is_address(text: str) -> bool:
    """Say whether the text is an IP address or a host name, and nothing around it."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        looks_like_ip = re.fullmatch(r"[0-9.]+", text) is not None
        return bool(HOST_NAME.fullmatch(text)) and not looks_like_ip and len(text) <= 253
    return True


def check_address(target: Target) -> list[Problem]:
    """Return the problem of an address that is empty or no address; empty list when it is one."""
    text = target.address
    if not text.strip():
        return [
            Problem(
                "No address: ansible_host is empty, because EC2_IP is not set.",
                'copy "Public IPv4 address" from the instance\'s page in the AWS console, then:\n'
                + target.again(EXAMPLE),
            )
        ]
    if is_address(text):
        return []
    inside = [found for found in IPV4_INSIDE.findall(text) if is_address(found)]
    return [
        Problem(
            f"{text!r} is no address (ansible_host, from EC2_IP): an IP address or a host name "
            "is wanted, without user, port or http://.",
            target.again(inside[0] if len(inside) == 1 else EXAMPLE),
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
        alias: The name of the host's key, where it is none of the address's (HostKeyAlias).
        keys: Private key files that ssh would try.
    """

    host: str
    port: int
    proxied: bool = False
    known_hosts: str = "~/.ssh/known_hosts"
    alias: str = ""
    keys: tuple[str, ...] = ()


def route(target: Target) -> Route:
    """Ask ssh for the way to the host; where ssh cannot say, the plain address and port."""
    line = [*target.ssh(), "-G", target.address]
    answer = _run(line, 5)
    values: dict[str, list[str]] = {}
    for text in answer.out.splitlines() if answer.code == 0 else []:
        key, _, value = text.partition(" ")
        values.setdefault(key, []).append(value)

    def first(key: str, default: str) -> str:
        return values.get(key, [default])[0]

    return Route(
        host=first("hostname", target.address),
        port=int(first("port", str(target.port or 22))),
        proxied=any(first(key, "none") != "none" for key in ("proxyjump", "proxycommand")),
        known_hosts=first("userknownhostsfile", Route.known_hosts).split(" ")[0],
        alias=first("hostkeyalias", ""),
        keys=tuple(values.get("identityfile", [])),
    )


def check_port(target: Target, way: Route) -> list[Problem]:
    """Return the problem of a host whose SSH port does not answer; names are resolved first."""
    limit = time.monotonic() + target.connect_timeout
    where = f"{way.host} port {way.port}"

    def connect(address: tuple[Any, ...]) -> OSError | None:
        with socket.socket(address[0], socket.SOCK_STREAM) as connection:
            connection.settimeout(max(0.1, limit - time.monotonic()))
            try:
                connection.connect(address[4])
            except OSError as error:
                return error
        return None

    addresses = _resolve(way, target.connect_timeout)
    if not addresses:
        return [
            Problem(
                f"The name {way.host!r} (ansible_host, from EC2_IP) cannot be resolved to an "
                "address.",
                "check the spelling and this computer's network, or give the IP address:\n"
                + target.again(EXAMPLE),
            )
        ]
    with ThreadPoolExecutor(max_workers=len(addresses)) as pool:
        errors = list(pool.map(connect, addresses))
    if None in errors:
        return []
    if any(isinstance(error, ConnectionRefusedError) for error in errors):
        return [
            Problem(
                f"{where} refuses the connection: the machine answers, but no SSH server does.",
                "a machine that has just started needs a minute: wait, then the same command "
                "again\n"
                "another port? set ansible_port for the host in inventory/ec2.yml\n"
                "another machine's address? with the right one: " + target.again(EXAMPLE),
            )
        ]
    if all(isinstance(error, TimeoutError) for error in errors):
        return [
            Problem(
                f"{where} does not answer within {target.connect_timeout:g} s. The instance is "
                "stopped, or has a new public IP,\nor its security group does not let SSH (22) in "
                "from your network.",
                AWS_STEPS
                + target.again(EXAMPLE)
                + '\nthe instance > Security > its security group: an inbound rule "SSH, TCP 22, '
                'My IP" is needed',
            )
        ]
    last = next(error for error in errors if error)
    return [
        Problem(
            f"{where} cannot be reached: {last.strerror or last}.",
            "check this computer's network (Wi-Fi, VPN), then the address:\n"
            + AWS_STEPS
            + target.again(EXAMPLE),
        )
    ]


def _resolve(way: Route, timeout: float) -> list[tuple[Any, ...]]:
    """Return the addresses of the name; none when it has none, or nobody says so in time."""
    found: list[tuple[Any, ...]] = []

    def ask() -> None:
        with contextlib.suppress(OSError, UnicodeError):
            found.extend(socket.getaddrinfo(way.host, way.port, type=socket.SOCK_STREAM))

    # A daemon thread: a name server that hangs must not hold up the end of the run.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(timeout)
    return found


# --- The key --------------------------------------------------------------------------------------


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
    start = len(magic) + 4
    length = int.from_bytes(raw[len(magic) : start], "big")
    return raw.startswith(magic) and raw[start : start + length] != b"none"


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
        what = f"{KEY_VARIABLE} names a file that does not exist: {path}"
        fix = (
            "the Learner Lab's key: AWS Details > Download PEM gives labsuser.pem, then:\n"
            f"mv ~/Downloads/labsuser.pem {shown} && chmod 600 {shown}"
        )
        return [Problem(what, fix)]
    except OSError as error:
        what = f"{KEY_VARIABLE}: {path} cannot be read: {error.strerror}."
        return [Problem(what, f"ls -l {shown}")]
    mode = stat.S_IMODE(status.st_mode)
    if "PuTTY-User-Key-File" in text:
        what = f"{path} is a key for PuTTY (.ppk), which ssh does not read."
        fix = f"download the PEM form, or: puttygen {shown} -O private-openssh -o labsuser.pem"
    elif "PRIVATE KEY" not in text:
        half = "the public half of a key" if text.startswith(("ssh-", "ecdsa-")) else "no key"
        private = path.with_suffix("") if path.suffix == ".pub" else "~/Downloads/labsuser.pem"
        what = f'{KEY_VARIABLE}: {path} is {half}; a private key begins with "-----BEGIN".'
        fix = f"EC2_KEY={private} before the command"
    # The rule of OpenSSH's sshkey_perm_ok: only a file of one's own is looked at.
    elif status.st_uid == os.getuid() and mode & 0o077:
        what = f"The private key {path} can be read by others (mode {mode:04o}); ssh refuses it."
        fix = f"chmod 600 {shown}"
    else:
        return []
    return [Problem(what, fix)]


# --- The login ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """What an ssh call gave: exit code (None when it was stopped), and its output."""

    code: int | None
    out: str = ""
    err: str = ""

    def sudo(self) -> str:
        """Return what the probe says of sudo: root, ok, refused; empty when it did not run."""
        found = re.search(rf"^{MARK}(\w+)", self.out, re.MULTILINE)
        return found.group(1) if found else ""

    def words(self, limit: int = 5) -> str:
        """Return the last lines of ssh's output, without banners and what says nothing here."""
        lines = [line.strip() for line in (self.err if self.code == 255 else self.out + self.err)
                 .splitlines()]  # fmt: skip
        lines = [li for li in lines if set(li) - {"@"} and "Permanently added" not in li]
        return "\n".join(lines[-limit:])


def _run(line: list[str], timeout: float) -> Answer:
    try:
        done = subprocess.run(
            line,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Answer(None)
    return Answer(done.returncode, done.stdout, done.stderr)


def login(target: Target, user: str = "") -> Answer:
    """Log in with a connection of its own and run the probe; no question is ever asked."""
    line = target.ssh(
        "-o", "BatchMode=yes",
        "-o", "ControlMaster=no",
        "-o", "ControlPath=none",
        "-o", "LogLevel=INFO",
        "-o", f"ConnectTimeout={max(1, int(target.connect_timeout))}",
        user=user,
    )  # fmt: skip
    line += ["-o", "StrictHostKeyChecking=accept-new", target.address, PROBE]
    return _run(line, target.login_timeout)


def explain_changed_key(target: Target, way: Route, answer: Answer) -> Problem:
    """Explain a host key that is not the known one."""
    offending = re.search(r"Offending .*key in (.+):\d+", answer.err)
    known_hosts = offending.group(1) if offending else str(Path(way.known_hosts).expanduser())
    shown = re.search(r"(SHA256:[A-Za-z0-9+/=]+)", answer.err)
    fingerprint = f"\nThe key it shows now: {shown.group(1)}" if shown else ""
    name = target.address if way.port == 22 else f"[{target.address}]:{way.port}"
    forget = shlex.join(["ssh-keygen", "-f", known_hosts, "-R", way.alias or name])
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


def _user_that_fits(target: Target) -> str:
    """Return the usual login name that gets in where the given one does not, if one does."""
    others = [name for name in target.usual_users if name != target.user]
    with ThreadPoolExecutor(max_workers=max(1, len(others))) as pool:
        answers = list(pool.map(partial(login, target), others))
    return next((name for name, got in zip(others, answers, strict=True) if got.sudo()), "")


def _wrong_user(user: str, right: str) -> Problem:
    return Problem(
        f"The key is right, the user is not: {user} is refused, {right} gets in.",
        f"EC2_USER={right} before the command (ansible_user in another inventory)",
    )


def explain_denied(target: Target, way: Route, user: str, words: str) -> Problem:
    """Tell a wrong user from a wrong key, by trying the usual users with the same key."""
    right = _user_that_fits(target)
    if right:
        return _wrong_user(user, right)
    if not target.key:
        own = ", ".join(key for key in way.keys if Path(key).expanduser().exists())
        return Problem(
            f"{target.address} refuses the login of {user}: no key was named, and "
            f"{f'these do not fit: {own}' if own else 'there is none in ~/.ssh'}.\n"
            f"ssh says: {words}",
            "name the instance's key (the Learner Lab's is labsuser.pem, from AWS Details > "
            f"Download PEM):\nEC2_KEY=~/Downloads/labsuser.pem {target.again()}",
        )
    quoted = shlex.quote(target.key)
    # ssh names a key that it could not use only in passing, before "Permission denied".
    if re.search(r"incorrect passphrase|invalid format|error in libcrypto", words):
        return Problem(
            f"The private key {target.key} cannot be used.\nssh says: {words}",
            f"ssh-keygen -y -f {quoted}    # a good key prints its public half\n"
            "broken on the way? download it again: AWS Details > Download PEM",
        )
    if key_is_encrypted(Path(target.key).expanduser().read_text("ascii", "replace")):
        return Problem(
            f"The private key {target.key} asks for a passphrase, which a run cannot type.",
            f'eval "$(ssh-agent)"; ssh-add {quoted}\nthen the same command again',
        )
    others = ", ".join(name for name in target.usual_users if name != target.user)
    return Problem(
        f"{target.address} refuses the login of {user} with the key {target.key}.\n"
        f"The same key was tried for: {others or 'nobody else'}. So it is not this machine's key, "
        f"or the user is yet another one.\nssh says: {words}",
        'AWS console > the instance > "Key pair assigned at launch" (vockey is labsuser.pem); with '
        f"its file: EC2_KEY=~/Downloads/labsuser.pem {target.again()}\n"
        f"to see what happens: {target.by_hand('-v')}",
    )


# What ssh or the host says: a pattern, what is wrong and what to do, {group} being the pattern's
# group. The first match is reported.
MEANINGS: tuple[tuple[str, str, str], ...] = (
    (
        r"Host key verification failed",
        "The host key of {address} is not known, and the ssh configuration forbids taking a new "
        "one.\nssh says: {words}",
        "log in once by hand and answer yes: {by_hand}\n"
        "or set StrictHostKeyChecking=accept-new, as ansible.cfg has it",
    ),
    (
        r"[Pp]ermissions \d+ for '(.+)' are too open",
        "The private key {group} can be read by others; ssh refuses it.",
        "chmod 600 '{group}'",
    ),
    (
        r"(?:Identity file |no such identity: )(.+?)(?: not accessible)?: No such file",
        "The private key {group} does not exist.",
        f"put the instance's key there (chmod 600), or name another: {KEY_VARIABLE}",
    ),
    (
        r"Too many authentication failures",
        "{address} ends the login of {user}: the ssh agent offers too many keys before the right "
        "one.",
        "name the key (EC2_KEY=~/Downloads/labsuser.pem before the command) and add to the "
        "command: --ssh-common-args='-o IdentitiesOnly=yes'\nor empty the agent: ssh-add -D",
    ),
    # explain_denied finds out more.
    (r"Permission denied", "", ""),
    (
        r"proxied: (?s:.)*(?:banner exchange|kex_exchange_identification|Connection closed)",
        "The way to {address} through the jump host or proxy of the ssh configuration does not "
        "work.\nssh says: {words}",
        "to see where it ends: {by_hand_v}",
    ),
    (
        r"banner exchange|kex_exchange_identification|Connection (?:closed|reset)",
        "{host} port {port} takes the connection and then ends it or says nothing: its SSH server "
        "is still starting, or is overloaded.\nssh says: {words}",
        "wait a minute, then the same command again\nto see more: {by_hand_v}",
    ),
    (
        r"exit code None",
        "The login on {address} hangs: no answer within {login_timeout:g} s after the connection "
        "stood. The machine is overloaded or out of memory.",
        "AWS console > the instance > Instance state > Reboot, wait a minute, then the same "
        "command again\nto see where it hangs: {by_hand_v}",
    ),
    # 255 is ssh's own failure; anything else came from the host.
    (
        r"exit code 255",
        "No login on {address} as {user}.\nssh says: {words}",
        "to see more: {by_hand_v}",
    ),
    (
        r"(exit code \d+)",
        "{user} may log in on {address}, but not run a command there ({group}).\n"
        "The host says: {words}",
        "another user? EC2_USER=ubuntu before the command (ansible_user)\nto see more: {by_hand}",
    ),
)


def explain_login(target: Target, way: Route, answer: Answer) -> Problem:
    """Return the problem behind a login that failed, judged by ssh's own messages."""
    said = answer.out + answer.err
    user, words = target.user or "the login name of this computer", answer.words()
    told = re.search(r'[Pp]lease login as the user "([^"]+)"', said)
    if told:
        return _wrong_user(user, told.group(1))
    if "REMOTE HOST IDENTIFICATION HAS CHANGED" in said:
        return explain_changed_key(target, way, answer)
    known = {
        "address": target.address, "user": user, "words": words, "host": way.host,
        "port": way.port, "login_timeout": target.login_timeout, "by_hand": target.by_hand(),
        "by_hand_v": target.by_hand("-v"),
    }  # fmt: skip
    said = f"{'proxied: ' if way.proxied else ''}{said}\nexit code {answer.code}"
    for pattern, what, fix in MEANINGS:
        found = re.search(pattern, said)
        if found is None:
            continue
        if not what:
            break
        known["group"] = found.group(1) if found.re.groups else ""
        return Problem(what.format_map(known), fix.format_map(known))
    return explain_denied(target, way, user, words)


def check_way(target: Target, password: bool = False) -> tuple[Sequence[Problem], str]:
    """Return the problems on the way from the address to a shell, and what the probe says of sudo.

    Args:
        target: The host.
        password: The connection has a password, so that a login without one proves nothing.
    """
    wrong_address = check_address(target)
    problems = wrong_address + check_key(target)
    if shutil.which(target.executable) is None:
        install = "sudo apt-get install -y openssh-client    # Debian, Ubuntu, WSL"
        return [*problems, Problem(f"There is no {target.executable} here.", install)], ""
    if wrong_address:
        return problems, ""
    way = route(target)
    # Through a jump host the port cannot be tried from here.
    problems += [] if way.proxied else check_port(target, way)
    if problems or password:
        return problems, ""
    answer = login(target)
    if not answer.sudo():
        return [explain_login(target, way, answer)], ""
    return [], answer.sudo()
