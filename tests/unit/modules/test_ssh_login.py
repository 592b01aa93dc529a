"""The way to the host: real sockets, and a fake ssh that says what OpenSSH says."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.labstack.stack.plugins.module_utils import ssh_login as preflight
from ansible_collections.labstack.stack.plugins.module_utils.problems import report

# Words of OpenSSH 9.2 and of Ubuntu's cloud image.
DENIED = "ubuntu@127.0.0.1: Permission denied (publickey).\n"
CHANGED = """\
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!
Someone could be eavesdropping on you right now (man-in-the-middle attack)!
It is also possible that a host key has just been changed.
The fingerprint for the ED25519 key sent by the remote host is
SHA256:RhC/mtLujJwoIkkzeRYi6G/8VEcBdp+/qLe/3SZOQtg.
Please contact your system administrator.
Add correct host key in /home/ana/my hosts to get rid of this message.
Offending ED25519 key in /home/ana/my hosts:1
  remove with:
  ssh-keygen -f "/home/ana/my hosts" -R "127.0.0.1"
Host key for 127.0.0.1 has changed and you have requested strict checking.
Host key verification failed.
"""
UNKNOWN_KEY = """\
No ED25519 host key is known for 127.0.0.1 and you have requested strict checking.
Host key verification failed.
"""
UNPROTECTED = """\
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@         WARNING: UNPROTECTED PRIVATE KEY FILE!          @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
Permissions 0644 for '/home/ana/labsuser.pem' are too open.
It is required that your private key files are NOT accessible by others.
This private key will be ignored.
Load key "/home/ana/labsuser.pem": bad permissions
ubuntu@127.0.0.1: Permission denied (publickey).
"""
NO_IDENTITY = """\
Warning: Identity file /home/ana/gone.pem not accessible: No such file or directory.
ubuntu@127.0.0.1: Permission denied (publickey).
"""
NO_IDENTITY_OF_CONFIG = """\
no such identity: /home/ana/gone.pem: No such file or directory
ubuntu@127.0.0.1: Permission denied (publickey).
"""
TOO_MANY = """\
Received disconnect from 127.0.0.1 port 22:2: Too many authentication failures
Disconnected from 127.0.0.1 port 22
"""
BAD_FORMAT = """\
Load key "/home/ana/labsuser.pem": error in libcrypto
ubuntu@127.0.0.1: Permission denied (publickey).
"""
LOGIN_AS = 'Please login as the user "ubuntu" rather than the user "root".\n'
CLOSED = """\
kex_exchange_identification: Connection closed by remote host
Connection closed by 127.0.0.1 port 22
"""
MUTE = """\
Connection timed out during banner exchange
Connection to 127.0.0.1 port 22 timed out
"""
JUMP = """\
ssh: connect to host 10.0.0.1 port 22: Connection refused
kex_exchange_identification: Connection closed by remote host
Connection closed by UNKNOWN port 65535
"""

FAKE_SSH = """\
#!/bin/sh
# -G answers from the file `config`; a login from USER.out, USER.err and USER.code, or, where the
# file USER.run exists, by running the script here.
here=${0%/*}
printf '%s\\n' "$*" >> "$here/calls"
user= port=22 last=
for word; do
    case $previous in -l) user=$word ;; -p) port=$word ;; esac
    previous=$word last=$word
done
for word; do
    if [ "$word" = -G ]; then
        test -e "$here/config" && exec cat "$here/config"
        printf 'user %s\\nhostname %s\\nport %s\\nuserknownhostsfile ~/.ssh/known_hosts x\\n' \\
            "$user" "$last" "$port"
        exit
    fi
done
test -e "$here/$user.run" && PATH=$here/host:$PATH exec sh -c "$last"
cat "$here/$user.err" >&2 2>/dev/null || printf '%s' 'x: Permission denied (publickey).' >&2
cat "$here/$user.out" 2>/dev/null
exit "$(cat "$here/$user.code" 2>/dev/null || echo 255)"
"""


class FakeHost:
    """What the fake ssh finds at the other end."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.program = directory / "ssh"
        self.program.write_text(FAKE_SSH)
        self.program.chmod(0o755)
        self.bin = directory / "host"
        self.bin.mkdir()
        self.install("id", 'echo "${FAKE_UID:-1000}"')
        self.install("sudo", "exit 0")

    def install(self, name: str, body: str) -> None:
        """Put a program onto the host."""
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def says(self, err: str = "", out: str = "", code: int = 255, user: str = "ubuntu") -> None:
        """Let the login of a user end with these words."""
        (self.directory / f"{user}.err").write_text(err)
        (self.directory / f"{user}.out").write_text(out)
        (self.directory / f"{user}.code").write_text(str(code))

    def lets_in(self, user: str) -> None:
        """Let a user log in."""
        (self.directory / f"{user}.run").touch()

    def configuration(self, text: str) -> None:
        """Set what `ssh -G` answers."""
        (self.directory / "config").write_text(text)

    def calls(self) -> list[str]:
        """Return the arguments of every call."""
        path = self.directory / "calls"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    directory = tmp_path / "fake"
    directory.mkdir()
    return FakeHost(directory)


@pytest.fixture
def port() -> Iterator[int]:
    """A port that takes connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        number: int = server.getsockname()[1]
    return number


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "labsuser.pem"
    path.write_text("-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----\n")
    path.chmod(0o600)
    return path


def target(host: FakeHost, port: int, **more: Any) -> preflight.Target:
    known = {
        "address": "127.0.0.1",
        "port": port,
        "user": "ubuntu",
        "executable": str(host.program),
        "usual_users": ("ubuntu", "admin"),
    }
    return preflight.Target(**{**known, **more})


def passes(host: FakeHost, port: int, **more: Any) -> str:
    """Return what is said of sudo, where nothing is wrong."""
    problems, sudo = preflight.check_way(target(host, port, **more))
    assert not problems, report(problems)
    return sudo


def message(host: FakeHost, port: int, **more: Any) -> str:
    """Return the message of a refusal; every one has a remedy for each problem."""
    problems, _ = preflight.check_way(target(host, port, **more))
    text = report(problems)
    assert text.count("\n1. ") == 1
    assert "\n   -> " in text
    return text


# --- A good way -------------------------------------------------------------------------------


def test_a_good_way(host: FakeHost, port: int) -> None:
    host.lets_in("ubuntu")
    assert passes(host, port) == "ok"


def test_the_login_is_the_playbooks_own(host: FakeHost, port: int, key: Path) -> None:
    host.lets_in("ubuntu")
    words = "-o ControlMaster=auto -o ProxyCommand=none -o UserKnownHostsFile=/k"
    passes(host, port, key=str(key), args=tuple(words.split()))
    login = host.calls()[-1].split()
    assert login[login.index("-i") + 1] == str(key)
    assert login[login.index("-l") + 1] == "ubuntu"
    assert login[login.index("-p") + 1] == str(port)
    assert "UserKnownHostsFile=/k" in login
    # ssh takes the first value: never asks, never reuses an old connection; a new key is pinned.
    assert login.index("BatchMode=yes") < login.index("UserKnownHostsFile=/k")
    assert login.index("ControlPath=none") < login.index("ControlMaster=auto")
    assert login.index("StrictHostKeyChecking=accept-new") > login.index("ControlMaster=auto")


def test_a_login_with_a_password_is_not_tried(host: FakeHost, port: int) -> None:
    assert preflight.check_way(target(host, port), password=True) == ([], "")
    assert all("-G" in call for call in host.calls())


# --- The address ------------------------------------------------------------------------------


def test_no_address(host: FakeHost, port: int) -> None:
    text = message(host, port, address="")
    assert "ansible_host is empty" in text
    assert "EC2_IP=203.0.113.7 ./lab run ansible-playbook site.yml" in text


@pytest.mark.parametrize(
    ("address", "instead"),
    [
        ("http://198.51.100.4/", "198.51.100.4"),
        ("ubuntu@198.51.100.4", "198.51.100.4"),
        ("198.51.100.4:22", "198.51.100.4"),
        ("198.51.100.4 ", "198.51.100.4"),
        ("198.51.100.400", "203.0.113.7"),
        ("198.51.100", "203.0.113.7"),
        ("<public ip>", "203.0.113.7"),
        ("-oProxyCommand=evil", "203.0.113.7"),
        ("a..b", "203.0.113.7"),
    ],
)
def test_no_address_at_all(host: FakeHost, port: int, address: str, instead: str) -> None:
    text = message(host, port, address=address)
    assert f"{address!r} is no address" in text
    assert f"EC2_IP={instead} ./lab run" in text
    assert host.calls() == [], "nothing that is no address reaches ssh"


@pytest.mark.parametrize(
    "address", ["203.0.113.7", "2001:db8::1", "ec2-203-0-113-7.compute-1.amazonaws.com", "my_host"]
)
def test_addresses(address: str) -> None:
    assert preflight.check_address(preflight.Target(address)) == []


def test_a_name_that_does_not_exist(
    host: FakeHost, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_args: object, **_more: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    text = message(host, port, address="no.such.host")
    assert "'no.such.host' (ansible_host, from EC2_IP) cannot be resolved" in text


def test_a_dead_name_server_does_not_hold_up(
    host: FakeHost, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = threading.Event()
    answered: list[bool] = []

    def hang(*_args: object, **_more: object) -> list[object]:
        answered.append(stop.wait(30))
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    text = message(host, port, address="slow.example", connect_timeout=0.3)
    assert answered == []
    stop.set()
    assert "cannot be resolved" in text


# --- The port ---------------------------------------------------------------------------------


def test_a_closed_port(host: FakeHost, free_port: int) -> None:
    text = message(host, free_port)
    assert f"127.0.0.1 port {free_port} refuses the connection" in text
    assert all("-G" in call for call in host.calls()), "no login is tried"


@pytest.fixture
def filtered() -> Iterator[int]:
    """A port that does not answer: its queue is full, so the kernel drops what comes."""
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen(0)
    waiting = []
    for _ in range(4):
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex(server.getsockname())
        waiting.append(client)
    yield server.getsockname()[1]
    for one in [server, *waiting]:
        one.close()


def test_a_filtered_port(host: FakeHost, filtered: int) -> None:
    text = message(host, filtered, connect_timeout=0.5)
    assert "does not answer within 0.5 s" in text
    for likely in ("stopped", "new public IP", "security group"):
        assert likely in text


def test_no_route(host: FakeHost, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_args: object) -> None:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(socket.socket, "connect", unreachable)
    assert "cannot be reached: Network is unreachable" in message(host, port)


def test_one_address_of_several_is_enough(
    host: FakeHost, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.lets_in("ubuntu")
    answers = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2", 1)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    passes(host, port, address="two.example")


def test_the_ssh_configuration_names_another_host(host: FakeHost, port: int) -> None:
    host.configuration(f"hostname 127.0.0.1\nport {port}\nproxycommand none\n")
    host.lets_in("ubuntu")
    passes(host, 0, address="mylab")


def test_through_a_jump_host_the_port_is_not_tried(host: FakeHost, free_port: int) -> None:
    host.configuration(f"hostname 127.0.0.1\nport {free_port}\nproxyjump ana@10.0.0.1\n")
    host.says(JUMP)
    text = message(host, free_port)
    assert "jump host" in text
    assert "connect to host 10.0.0.1 port 22: Connection refused" in text


# --- The key ----------------------------------------------------------------------------------


def test_the_key_file_is_missing(host: FakeHost, port: int) -> None:
    text = message(host, port, key="/no/such/labsuser.pem")
    assert "EC2_KEY (ansible_ssh_private_key_file)" in text
    assert "does not exist: /no/such/labsuser.pem" in text
    assert "Download PEM" in text


def test_a_key_that_others_can_read(host: FakeHost, port: int, key: Path) -> None:
    key.chmod(0o644)
    text = message(host, port, key=str(key))
    assert "mode 0644" in text
    assert f"chmod 600 {key}" in text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("PuTTY-User-Key-File-2: ssh-rsa\n", "PuTTY"),
        ("ssh-ed25519 AAAA ana\n", "public half"),
        ("<html>", "no key"),
    ],
)
def test_a_file_that_is_no_private_key(key: Path, content: str, words: str) -> None:
    key.write_text(content)
    (problem,) = preflight.check_key(preflight.Target("127.0.0.1", key=str(key)))
    assert words in problem.what


def test_a_key_path_that_cannot_be_read(host: FakeHost, port: int, tmp_path: Path) -> None:
    text = message(host, port, key=str(tmp_path))
    assert "cannot be read: Is a directory" in text


def test_key_and_port_are_reported_together(host: FakeHost, free_port: int) -> None:
    text = message(host, free_port, key="/no/such.pem")
    assert text.startswith("2 problems")
    assert "/no/such.pem" in text
    assert "refuses the connection" in text


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs OpenSSH's ssh-keygen")
@pytest.mark.parametrize("form", ["RFC4716", "PEM"])
@pytest.mark.parametrize("passphrase", ["", "secret"])
def test_a_passphrase_is_seen(tmp_path: Path, form: str, passphrase: str) -> None:
    path = tmp_path / "id"
    command = ["ssh-keygen", "-q", "-t", "ecdsa", "-m", form, "-N", passphrase, "-f", str(path)]
    subprocess.run(command, check=True)
    assert preflight.key_is_encrypted(path.read_text()) is (passphrase != "")


# --- The login --------------------------------------------------------------------------------


def test_the_key_is_right_and_the_user_is_wrong(host: FakeHost, port: int, key: Path) -> None:
    host.says(DENIED, user="ec2-user")
    host.lets_in("ubuntu")
    text = message(host, port, user="ec2-user", key=str(key))
    assert "The key is right, the user is not: ec2-user is refused, ubuntu gets in." in text
    assert "EC2_USER=ubuntu" in text


def test_the_image_says_which_user(host: FakeHost, port: int) -> None:
    host.says(out=LOGIN_AS, code=142, user="root")
    assert "EC2_USER=ubuntu" in message(host, port, user="root")


def test_the_key_is_wrong(host: FakeHost, port: int, key: Path) -> None:
    host.says(DENIED)
    host.says(DENIED, user="admin")
    text = message(host, port, key=str(key))
    assert f"refuses the login of ubuntu with the key {key}" in text
    assert "Permission denied (publickey)" in text
    assert "Key pair assigned at launch" in text


def test_no_key_was_named(host: FakeHost, port: int, tmp_path: Path) -> None:
    host.says(DENIED)
    text = message(host, port)
    assert "no key was named, and there is none in ~/.ssh" in text
    assert "EC2_KEY=~/Downloads/labsuser.pem EC2_IP=127.0.0.1 ./lab run" in text
    own = tmp_path / "id_rsa"
    own.touch()
    host.configuration(f"hostname 127.0.0.1\nport {port}\nidentityfile {own}\n")
    assert f"these do not fit: {own}" in message(host, port)


def test_a_key_with_a_passphrase(host: FakeHost, port: int, key: Path) -> None:
    key.write_text(
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMII\n-----END ENCRYPTED PRIVATE KEY-----"
    )
    host.says(DENIED)
    assert f"ssh-add {key}" in message(host, port, key=str(key))


def test_a_changed_host_key(host: FakeHost, port: int) -> None:
    host.says(CHANGED)
    text = message(host, port)
    assert "its host key has changed" in text
    assert "SHA256:RhC/mtLujJwoIkkzeRYi6G/8VEcBdp+/qLe/3SZOQtg" in text
    assert f"ssh-keygen -f '/home/ana/my hosts' -R '[127.0.0.1]:{port}'" in text


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (UNKNOWN_KEY, "the ssh configuration forbids taking a new one"),
        (UNPROTECTED, "chmod 600 '/home/ana/labsuser.pem'"),
        (NO_IDENTITY, "The private key /home/ana/gone.pem does not exist"),
        (NO_IDENTITY_OF_CONFIG, "The private key /home/ana/gone.pem does not exist"),
        (TOO_MANY, "IdentitiesOnly=yes"),
        (CLOSED, "still starting"),
        (MUTE, "Connection timed out during banner exchange"),
        ("ssh: connect to host 127.0.0.1 port 22: Connection refused\n", "Connection refused"),
        ("ssh: connect to host 127.0.0.1 port 22: Connection timed out\n", "Connection timed out"),
        ("Unable to negotiate: no matching host key type found.\n", "no matching host key type"),
    ],
)
def test_what_ssh_says(host: FakeHost, port: int, words: str, expected: str) -> None:
    host.says(words)
    assert expected in message(host, port)


def test_a_key_that_ssh_cannot_use(host: FakeHost, port: int, key: Path) -> None:
    host.says(BAD_FORMAT)
    text = message(host, port, key=str(key))
    assert f"The private key {key} cannot be used" in text
    assert "error in libcrypto" in text


def test_a_shell_that_runs_nothing(host: FakeHost, port: int) -> None:
    host.says(out="This account is currently not available.\n", code=1)
    text = message(host, port)
    assert "may log in on 127.0.0.1, but not run a command" in text
    assert "This account is currently not available." in text


def test_a_login_that_hangs(host: FakeHost, port: int) -> None:
    host.lets_in("ubuntu")
    host.install("id", "exec sleep 30")
    text = message(host, port, login_timeout=0.5)
    assert "hangs: no answer within 0.5 s" in text


def test_no_ssh_program(host: FakeHost, port: int) -> None:
    assert "openssh-client" in message(host, port, executable="no-such-ssh")


# --- The session ------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "found"), [(0, "ok"), (1, "refused")])
def test_sudo_without_a_password(host: FakeHost, port: int, status: int, found: str) -> None:
    host.lets_in("ubuntu")
    host.install("sudo", f"test $1 = -n && exit {status}")
    assert passes(host, port) == found


def test_root_needs_no_sudo(host: FakeHost, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_UID", "0")
    host.lets_in("root")
    host.install("sudo", "exit 1")
    assert passes(host, port, user="root") == "root"


def test_the_probe_only_reads(tmp_path: Path) -> None:
    """The script is plain sh, and leaves nothing where it runs."""
    done = subprocess.run(
        ["sh", "-c", preflight.PROBE], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert preflight.Answer(0, done.stdout).sudo() in ("root", "ok", "refused")
    assert list(tmp_path.iterdir()) == []


def test_everything_that_can_be_seen_is_reported_at_once(host: FakeHost, port: int) -> None:
    text = message(host, port, address="", key="/no/such.pem")
    assert text.startswith("2 problems, found before anything was changed:")
