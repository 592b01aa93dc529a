"""The module preflight_host, on trees of files that look like a host's."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import socketserver
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible.modules import setup
from ansible_collections.labstack.stack.plugins.modules import preflight_host as preflight
from ansible_collections.labstack.stack.plugins.modules.preflight_host import system_facts

from tests.unit.conftest import RunModule

GIB = 1024**3
SHM = Path("/dev/shm")  # noqa: S108 - another file system than /
SHA = "4f5e2f6b1c0a4f5e2f6b1c0a4f5e2f6b1c0a4f5e2f6b1c0a4f5e2f6b1c0a4f5e"


class Tree:
    """A host's file system, as far as the module looks at it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.sockets: dict[str, list[tuple[str, str, str]]] = {"tcp": [], "tcp6": []}
        self.memory(2 * GIB)
        self.process(1, "systemd", "0::/init.scope")

    def write(self, path: str, text: str = "") -> Path:
        """Write a file, with its folders."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def memory(self, size: int) -> None:
        """Set what /proc/meminfo shows, in bytes."""
        self.write("proc/meminfo", f"MemTotal:  {size // 1024} kB\nMemFree:  1 kB\n")

    def process(self, pid: int, name: str, cgroup: str, *inodes: int) -> None:
        """Add a process that holds sockets."""
        self.write(f"proc/{pid}/comm", f"{name}\n")
        self.write(f"proc/{pid}/cgroup", f"{cgroup}\n")
        (self.root / f"proc/{pid}/fd").mkdir(exist_ok=True)
        (self.root / f"proc/{pid}/fd/0").symlink_to("/dev/null")
        for number, inode in enumerate(inodes, 3):
            (self.root / f"proc/{pid}/fd/{number}").symlink_to(f"socket:[{inode}]")

    def listens(self, port: int, inode: int, table: str = "tcp", state: str = "0A") -> None:
        """Add a line to /proc/net/tcp or tcp6."""
        address = "0" * (8 if table == "tcp" else 32)
        rows = self.sockets[table]
        rows.append((f"{address}:{port:04X}", state, str(inode)))
        head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid"
        lines = [
            f"{number:4}: {local} {address}:0000 {state} 00000000:00000000 00:00000000 00000000"
            f"     0        0 {found} 1 0000000000000000 100 0 0 10 0"
            for number, (local, state, found) in enumerate(rows)
        ]
        self.write(f"proc/net/{table}", "\n".join([f"{head}  timeout inode", *lines, ""]))

    def stranger(self, port: int, name: str, cgroup: str, pid: int = 700) -> None:
        """Let a process listen on a port."""
        self.listens(port, pid * 10)
        self.process(pid, name, cgroup, pid * 10)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


@pytest.fixture(autouse=True)
def facts(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the system is; a test changes it in place."""
    found = {
        "distribution": "Ubuntu",
        "distribution_release": "jammy",
        "distribution_version": "22.04",
        "os_family": "Debian",
        "architecture": "x86_64",
    }
    monkeypatch.setattr(preflight, "system_facts", lambda _root: found)
    return found


PORTS = [
    {"port": 80, "owner": "compose", "variable": "webapp_http_port"},
    {"port": 3000, "owner": "grafana-server.service"},
    {"port": 9090, "owner": "prometheus.service", "variable": "prometheus_listen_address"},
]


def options(tree: Tree, **more: Any) -> dict[str, Any]:
    return {
        "supported_systems": {"Ubuntu": ["22.04", "24.04"], "Debian": ["13"]},
        "disk_min_mb": 1,
        "disk_min_deployed_mb": 1,
        "ports": PORTS,
        "root": str(tree.root),
        **more,
    }


def passes(run_module: RunModule, tree: Tree, **more: Any) -> dict[str, Any]:
    result = run_module(preflight.main, options(tree, **more))
    assert not result.get("failed"), result["msg"]
    assert result["changed"] is False
    return result


def message(run_module: RunModule, tree: Tree, **more: Any) -> str:
    """Return the message of a refusal, which has a remedy for each problem."""
    result = run_module(preflight.main, options(tree, **more))
    assert result.get("failed"), result
    text: str = result["msg"]
    count = int(text.split(" ", maxsplit=1)[0])
    assert all(f"\n{number}. " in text for number in range(1, count + 1))
    assert text.count("\n   -> ") >= count
    return text


# --- System, memory, disk ---------------------------------------------------------------------


@pytest.mark.parametrize("system", ["Ubuntu 22.04", "Ubuntu 24.04", "Debian 13.2", "Debian 13"])
def test_supported_systems(
    run_module: RunModule, tree: Tree, facts: dict[str, str], system: str
) -> None:
    facts["distribution"], facts["distribution_version"] = system.split(" ")
    tree.write(
        "etc/passwd", "root:x:0:0:root:/root:/bin/bash\nprometheus:x:998:998::/:/sbin/nologin\n"
    )
    tree.write("usr/bin/rsync")
    found = passes(run_module, tree)["ansible_facts"]
    users = found.pop("getent_passwd")
    assert found.pop("programs") == ["rsync"]
    assert found == facts
    assert set(users) == {"root", "prometheus"}
    assert users["root"] == ["x", "0", "0", "root", "/root", "/bin/bash"]


@pytest.mark.parametrize("system", ["Ubuntu 20.04", "Debian 12.9", "Debian 130", "Amazon 2023"])
def test_systems_that_are_not_supported(
    run_module: RunModule, tree: Tree, facts: dict[str, str], system: str
) -> None:
    facts["distribution"], facts["distribution_version"] = system.split(" ")
    text = message(run_module, tree)
    assert f"{system} is not supported" in text
    assert "Supported: Ubuntu 22.04, Ubuntu 24.04, Debian 13." in text


def test_another_architecture(run_module: RunModule, tree: Tree, facts: dict[str, str]) -> None:
    facts["architecture"] = "riscv64"
    text = message(run_module, tree)
    assert "architecture riscv64 is not supported. Supported: x86_64, aarch64." in text


def test_the_facts_are_those_of_setup(capsys: pytest.CaptureFixture[str]) -> None:
    subset = {"gather_subset": ["!all", "!min", "distribution", "platform"]}
    with patch_module_args(subset), pytest.raises(SystemExit):
        setup.main()
    expected = json.loads(capsys.readouterr().out)["ansible_facts"]
    found = system_facts(Path("/"))
    assert found == {name: expected[f"ansible_{name}"] for name in found}


def test_a_t2_micro_has_enough_memory(run_module: RunModule, tree: Tree) -> None:
    tree.memory(949 * 1024 * 1024)
    assert passes(run_module, tree)["memory_mb"] == 995


def test_too_little_memory(run_module: RunModule, tree: Tree) -> None:
    tree.memory(GIB // 2)
    text = message(run_module, tree)
    assert "536 MB of memory; at least 900 MB are needed (preflight_memory_min_mb)" in text


@pytest.mark.parametrize(
    ("cgroup", "file"),
    [
        ("0::/init.scope", "sys/fs/cgroup/memory.max"),
        ("0::/box/init.scope", "sys/fs/cgroup/box/memory.max"),
        ("4:cpu,memory:/\n1:name=systemd:/x", "sys/fs/cgroup/memory/memory.limit_in_bytes"),
    ],
)
def test_a_containers_limit_counts(
    run_module: RunModule, tree: Tree, cgroup: str, file: str
) -> None:
    tree.memory(24 * GIB)
    tree.write("proc/1/cgroup", f"{cgroup}\n")
    tree.write(file, f"{GIB // 2}\n")
    assert "536 MB of memory" in message(run_module, tree)


@pytest.mark.parametrize("limit", ["max", "9223372036854771712"])
def test_no_limit(run_module: RunModule, tree: Tree, limit: str) -> None:
    tree.write("sys/fs/cgroup/memory.max", f"{limit}\n")
    assert passes(run_module, tree)["memory_mb"] == 2147


def test_a_full_disk_is_told_once(run_module: RunModule, tree: Tree) -> None:
    text = message(run_module, tree, disk_min_mb=10**9)
    assert text.startswith("1 problem"), "/ and /var/lib/docker are one file system here"
    assert "at least 1000000000 MB are needed (preflight_disk_min_mb)" in text
    assert "growpart" in text


def test_a_host_with_the_stack_needs_less(run_module: RunModule, tree: Tree) -> None:
    tree.write("etc/labstack/secrets/x")
    assert passes(run_module, tree, disk_min_mb=10**9)["deployed"] is True
    text = message(run_module, tree, disk_min_deployed_mb=10**9)
    assert "(preflight_disk_min_deployed_mb)" in text
    assert "docker system prune" in text


@pytest.mark.skipif(not SHM.is_dir(), reason="needs a second file system")
def test_a_full_tmp_is_told(run_module: RunModule, tree: Tree) -> None:
    """Where it is a file system of its own; else it is the disk that is full."""
    assert passes(run_module, tree, temporary_min_mb=10**9)
    other = Path(tempfile.mkdtemp(dir=SHM))
    try:
        if other.stat().st_dev == tree.root.stat().st_dev:
            pytest.skip("needs a second file system")
        (tree.root / "tmp").symlink_to(other)
        text = message(run_module, tree, temporary_min_mb=10**9)
        assert passes(run_module, tree)
    finally:
        shutil.rmtree(other)
    assert "MB free in /tmp; apt, git and Ansible need 1000000000 MB there." in text


@pytest.mark.skipif(not SHM.is_dir(), reason="needs a second file system")
def test_the_file_system_of_the_images_counts(run_module: RunModule, tree: Tree) -> None:
    other = Path(tempfile.mkdtemp(dir=SHM))
    try:
        if other.stat().st_dev == tree.root.stat().st_dev:
            pytest.skip("needs a second file system")
        (tree.root / "var/lib").mkdir(parents=True)
        (tree.root / "var/lib/docker").symlink_to(other)
        text = message(run_module, tree, disk_min_mb=10**9)
    finally:
        shutil.rmtree(other)
    assert "the file system of /;" in text
    assert "the file system of /var/lib/docker;" in text


# --- Ports ------------------------------------------------------------------------------------


def test_a_service_of_a_stranger(run_module: RunModule, tree: Tree) -> None:
    tree.stranger(80, "apache2", "0::/system.slice/apache2.service")
    text = message(run_module, tree)
    assert "Port 80 is taken by apache2 (pid 700, unit apache2.service)." in text
    assert "sudo systemctl disable --now apache2\n" in text
    assert "webapp_http_port" in text


def test_a_process_without_a_unit(run_module: RunModule, tree: Tree) -> None:
    tree.stranger(9090, "python3", "0::/user.slice/user-1000.slice/session-3.scope")
    text = message(run_module, tree)
    assert "Port 9090 is taken by python3 (pid 700)." in text
    assert "sudo kill 700" in text
    assert "prometheus_listen_address" in text


def test_ipv6_and_cgroup_v1(run_module: RunModule, tree: Tree) -> None:
    tree.listens(3000, 4242, table="tcp6")
    tree.process(99, "node", "2:memory:/x\n1:name=systemd:/system.slice/myapp.service", 4242)
    assert "Port 3000 is taken by node (pid 99, unit myapp.service)" in message(run_module, tree)


def test_a_process_that_was_started_over_ssh(run_module: RunModule, tree: Tree) -> None:
    tree.stranger(9090, "python3", "0::/system.slice/ssh.service")
    text = message(run_module, tree)
    assert "Port 9090 is taken by python3 (pid 700)." in text
    assert "sudo kill 700" in text
    assert "disable" not in text, "who disables ssh locks himself out"


def test_a_port_that_is_chosen_twice(run_module: RunModule, tree: Tree) -> None:
    tree.stranger(9090, "prometheus", "0::/system.slice/prometheus.service")
    again = {"port": 9090, "owner": "node_exporter.service", "variable": "node_exporter_bind"}
    text = message(run_module, tree, ports=[*PORTS, again])
    assert text.startswith("1 problem")
    assert (
        "Port 9090 is chosen twice: for prometheus (prometheus_listen_address) and "
        "node_exporter (node_exporter_bind)." in text
    )


def test_a_port_that_another_service_of_the_stack_leaves(run_module: RunModule, tree: Tree) -> None:
    tree.stranger(9090, "grafana", "0::/system.slice/grafana-server.service")
    text = message(run_module, tree)
    assert "Port 9090 is taken by the stack's own grafana-server" in text
    assert "sudo systemctl stop grafana-server    # this run starts it again" in text
    assert "disable" not in text


def test_our_own_service(run_module: RunModule, tree: Tree) -> None:
    tree.stranger(9090, "prometheus", "0::/system.slice/prometheus.service")
    passes(run_module, tree)


def test_our_own_name_elsewhere_is_a_stranger(run_module: RunModule, tree: Tree) -> None:
    tree.stranger(9090, "prometheus", "0::/system.slice/snap.prometheus.prometheus.service")
    assert "unit snap.prometheus.prometheus.service" in message(run_module, tree)


def test_other_states_and_ports_do_not_count(run_module: RunModule, tree: Tree) -> None:
    tree.listens(80, 1, state="01")
    tree.listens(8080, 2)
    tree.process(5, "x", "0::/system.slice/x.service", 1, 2)
    passes(run_module, tree)


def test_a_socket_unit(run_module: RunModule, tree: Tree) -> None:
    tree.listens(80, 5)
    (tree.root / "proc/1/fd/9").symlink_to("socket:[5]")
    assert "systemctl list-sockets" in message(run_module, tree)


def test_a_process_that_cannot_be_seen(run_module: RunModule, tree: Tree) -> None:
    tree.listens(80, 5)
    assert "sudo ss -ltnp 'sport = :80'" in message(run_module, tree)


def test_the_first_process_of_a_server_is_named(run_module: RunModule, tree: Tree) -> None:
    tree.listens(80, 5)
    for pid in (900, 80, 1000):
        tree.process(pid, "nginx", "0::/system.slice/nginx.service", 5)
    assert "nginx (pid 80," in message(run_module, tree)


class _Engine(http.server.BaseHTTPRequestHandler):
    """Answers as Docker's API does on its socket."""

    answer: tuple[int, Any] = (200, [])

    def do_GET(self) -> None:
        status, body = self.answer
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_args: object) -> None:
        pass

    def address_string(self) -> str:
        return "unix"


def container(name: str, project: str, *ports: int, sha: str = SHA) -> dict[str, Any]:
    """Return a container as the API lists it."""
    return {
        "Id": sha,
        "Names": [f"/{name}"],
        "Labels": {preflight.COMPOSE_LABEL: project} if project else {},
        "Ports": [
            {"IP": ip, "PrivatePort": 8080, "PublicPort": port, "Type": "tcp"}
            for port in ports
            for ip in ("0.0.0.0", "::")  # noqa: S104 - as Docker tells them
        ]
        + [{"PrivatePort": 3306, "Type": "tcp"}, {"PublicPort": 9090, "Type": "udp"}],
    }


@pytest.fixture
def engine(tree: Tree) -> Iterator[type[_Engine]]:
    """A Docker Engine on the tree's socket; set `answer` for what runs there."""
    (tree.root / "run").mkdir()
    directory = tempfile.mkdtemp()
    path = f"{directory}/docker.sock"  # a path of a socket is at most 107 characters long
    handler = type("Handler", (_Engine,), {})
    server = socketserver.ThreadingUnixStreamServer(path, handler)
    (tree.root / "run/docker.sock").symlink_to(path)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield handler
    server.shutdown()
    server.server_close()
    shutil.rmtree(directory)


def test_our_own_containers(run_module: RunModule, tree: Tree, engine: type[_Engine]) -> None:
    tree.stranger(80, "docker-proxy", "0::/system.slice/docker.service")
    engine.answer = (200, [container("webapp-apache-1", "webapp", 80, 443)])
    passes(run_module, tree)


def test_a_published_port_without_a_process(
    run_module: RunModule, tree: Tree, engine: type[_Engine]
) -> None:
    engine.answer = (200, [container("blog", "", 80), container("shop-web-1", "shop", 3000)])
    text = message(run_module, tree)
    assert "Port 80 is taken by the container blog." in text
    assert "Port 3000 is taken by the container shop-web-1 of the Compose project shop." in text
    assert "sudo docker stop blog" in text


def test_our_containers_on_a_port_of_another_owner(
    run_module: RunModule, tree: Tree, engine: type[_Engine]
) -> None:
    engine.answer = (200, [container("webapp-apache-1", "webapp", 9090)])
    assert "Port 9090 is taken by the container webapp-apache-1" in message(run_module, tree)


@pytest.mark.parametrize("cgroup", [f"0::/system.slice/docker-{SHA}.scope", f"0::/docker/{SHA}"])
def test_a_container_on_the_hosts_network(
    run_module: RunModule, tree: Tree, engine: type[_Engine], cgroup: str
) -> None:
    tree.stranger(80, "nginx", cgroup)
    engine.answer = (200, [container("proxy", "")])
    assert "Port 80 is taken by the container proxy." in message(run_module, tree)
    engine.answer = (200, [container("webapp-apache-1", "webapp")])
    passes(run_module, tree)


@pytest.mark.parametrize("answer", [(500, {}), (200, {"message": "x"}), (200, [{}])])
def test_an_engine_that_answers_nonsense_is_no_reason_to_refuse(
    run_module: RunModule, tree: Tree, engine: type[_Engine], answer: tuple[int, Any]
) -> None:
    engine.answer = answer
    tree.stranger(80, "dockerd", "0::/system.slice/docker.service")
    passes(run_module, tree)


def test_an_engine_that_is_stopped(run_module: RunModule, tree: Tree) -> None:
    """With live-restore the proxies outlive the engine; a later run must start it again."""
    tree.stranger(80, "docker-proxy", "0::/system.slice/docker.service")
    passes(run_module, tree)


def test_everything_is_reported_at_once(
    run_module: RunModule, tree: Tree, facts: dict[str, str]
) -> None:
    facts["architecture"] = "riscv64"
    tree.memory(GIB // 2)
    tree.stranger(80, "apache2", "0::/system.slice/apache2.service", pid=10)
    tree.stranger(9090, "cockpit-ws", "0::/system.slice/cockpit.service", pid=11)
    tree.write("snap/bin/docker")
    text = message(run_module, tree, disk_min_mb=10**9)
    assert text.startswith("6 problems of the host, found before anything was changed:")


# --- Packages ---------------------------------------------------------------------------------


def test_a_snap_engine(run_module: RunModule, tree: Tree) -> None:
    tree.write("snap/bin/docker")
    assert "sudo snap remove --purge docker" in message(run_module, tree)


def test_dpkg_that_stopped_halfway(run_module: RunModule, tree: Tree) -> None:
    tree.write("var/lib/dpkg/updates/0003")
    result = passes(run_module, tree)
    assert result["dpkg_interrupted"] is True
    assert "sudo dpkg --configure -a" in result["warnings"][0]


def test_a_quiet_package_manager(run_module: RunModule, tree: Tree) -> None:
    tree.write("var/lib/dpkg/updates/tmp.i")
    tree.write("var/lib/dpkg/lock-frontend")
    tree.write("proc/locks", "1: POSIX  ADVISORY  WRITE 55 fe:01:999999999 0 EOF\n")
    result = passes(run_module, tree)
    assert result["warnings"] == []
    assert result["dpkg_interrupted"] is False


def test_a_busy_package_manager(run_module: RunModule, tree: Tree) -> None:
    inode = tree.write("var/lib/dpkg/lock-frontend").stat().st_ino
    tree.process(55, "unattended-upgr", "0::/system.slice/apt-daily.service")
    tree.write("proc/locks", f"1: POSIX  ADVISORY  WRITE 55 fe:01:{inode} 0 EOF\n")
    (warning,) = passes(run_module, tree, lock_timeout=600)["warnings"]
    assert "unattended-upgr (pid 55) holds the package manager's lock" in warning
    assert "up to 600 s" in warning


# --- cloud-init -------------------------------------------------------------------------------


@pytest.fixture
def cloud_init(tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine on which cloud-init is at work; returns the program."""
    tree.write("run/cloud-init/enabled")
    program = tree.write("bin/cloud-init", "#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    return program


def test_cloud_init_is_waited_for_and_the_ports_are_looked_at_again(
    run_module: RunModule, tree: Tree, cloud_init: Path
) -> None:
    tree.stranger(8080, "nginx", "0::/system.slice/nginx.service")
    table = tree.root / "proc/net/tcp"
    # What it installs takes port 80 (0050) while one waits.
    cloud_init.write_text(
        f'#!/bin/sh\ntest "$*" = "status --wait" && sed -i s/:1F90/:0050/ {table}\nexit 0\n'
    )
    assert "Port 80 is taken by nginx" in message(run_module, tree)


def test_cloud_init_that_is_done_is_not_asked(
    run_module: RunModule, tree: Tree, cloud_init: Path
) -> None:
    cloud_init.write_text("#!/bin/sh\nsleep 60\n")
    tree.write("run/cloud-init/result.json", "{}")
    assert passes(run_module, tree)["waited_for_cloud_init"] == 0


def test_cloud_init_that_does_not_end(run_module: RunModule, tree: Tree, cloud_init: Path) -> None:
    cloud_init.write_text("#!/bin/sh\nexec sleep 60\n")
    text = message(run_module, tree, cloud_init_timeout=1)
    assert "still at work after 1 s (preflight_cloud_init_timeout)" in text
    assert "cloud-init-output.log" in text


def test_cloud_init_with_errors_does_not_stop_the_run(
    run_module: RunModule, tree: Tree, cloud_init: Path
) -> None:
    cloud_init.write_text("#!/bin/sh\nexit 2\n")
    assert "cloud-init status --long" in passes(run_module, tree)["warnings"][0]


def test_a_host_that_is_refused_anyway_is_not_waited_for(
    run_module: RunModule, tree: Tree, cloud_init: Path
) -> None:
    asked = cloud_init.with_name("asked")
    cloud_init.write_text(f"#!/bin/sh\ntouch '{asked}'\n")
    tree.memory(GIB // 2)
    assert "536 MB of memory" in message(run_module, tree)
    assert not asked.exists()
    tree.memory(2 * GIB)
    passes(run_module, tree)
    assert asked.exists()


@pytest.mark.parametrize("file", ["disabled", "result.json"])
def test_cloud_init_has_nothing_to_do(tree: Tree, file: str) -> None:
    tree.write("run/cloud-init/enabled")
    assert preflight.cloud_init_is_running(tree.root)
    tree.write(f"run/cloud-init/{file}")
    assert not preflight.cloud_init_is_running(tree.root)


def test_the_host_the_test_runs_on_can_be_read() -> None:
    """No exception on a real /proc, and a socket of this process is found."""
    root = Path("/")
    with socketserver.TCPServer(("127.0.0.1", 0), _Engine) as server:
        port = server.server_address[1]
        (found,) = preflight.listeners(root, [port])
    assert found.pid == os.getpid()
    assert preflight.memory(root) > 0
