"""Programs of releases, against a web server on the loopback and real tarballs."""

from __future__ import annotations

import gzip
import hashlib
import io
import shutil
import socket
import ssl
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.labstack.stack.plugins.module_utils import releases

from tests.unit.conftest import RunKilled

Answer = Callable[[BaseHTTPRequestHandler], None]


class Upstream(ThreadingHTTPServer):
    """A web server that gives the prepared answers to a path, one after the other.

    The last one is repeated.
    """

    daemon_threads = True

    def __init__(self) -> None:
        self.answers: dict[str, list[Answer]] = {}
        self.requests: list[str] = []
        self.closing = threading.Event()
        super().__init__(("127.0.0.1", 0), UpstreamHandler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def serve(self, path: str, *answers: Answer) -> str:
        """Prepare the answers, and return the address."""
        self.answers[path] = list(answers)
        return self.url + path


class UpstreamHandler(BaseHTTPRequestHandler):
    server: Upstream

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        answers = self.server.answers.get(self.path)
        if not answers:
            self.send_error(404)
            return
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        answer(self)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        pass


def body(content: bytes, length: int | None = None) -> Answer:
    """Answer with a content, and a Content-Length that may be wrong."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content) if length is None else length))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def status(code: int) -> Answer:
    return lambda handler: handler.send_error(code)


def redirect(url: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", url)
        handler.end_headers()

    return answer


def stalled(content: bytes) -> Answer:
    """Send half of the content, and then nothing more."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[: len(content) // 2])
        handler.wfile.flush()
        assert isinstance(handler.server, Upstream)
        handler.server.closing.wait(30)

    return answer


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.closing.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def bin_directory(tmp_path: Path) -> Path:
    directory = tmp_path / "bin"
    directory.mkdir()
    return directory


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(releases, "_RETRY_PAUSES", (0, 0, 0))


def program(version: str, name: str = "tool") -> bytes:
    """Return a program that reports its version as those of the Prometheus project do."""
    return (
        f"#!/bin/sh\necho '{name}, version {version} (branch: HEAD, revision: 4cf0b13)'\n"
        "echo '  go version:       go1.24.6'\n"
    ).encode()


def tarball(members: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    """Return a .tar.gz of regular files, and of symbolic links."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            # Nothing of this may come out.
            member.mode, member.uid, member.gid = 0o4777, 4711, 4711
            archive.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    # Without a time in its head, the same members give the same bytes.
    return gzip.compress(buffer.getvalue(), mtime=0)


def release(version: str = "1.2.3") -> bytes:
    return tarball(
        {
            f"tool-{version}.linux-amd64/tool": program(version),
            f"tool-{version}.linux-amd64/tooltool": program(version, "tooltool"),
            f"tool-{version}.linux-amd64/LICENSE": b"Do what you like.\n",
        }
    )


def install(path: Path, content: bytes, mode: int = 0o755) -> None:
    path.write_bytes(content)
    path.chmod(mode)


def options(url: str, content: bytes, directory: Path, **others: Any) -> dict[str, Any]:
    return {
        "name": "tool",
        "version": "1.2.3",
        "url": url,
        "sha256": hashlib.sha256(content).hexdigest(),
        "binaries": [{"member": "*/tool", "dest": str(directory / "tool")}],
        **others,
    }


def converge(wanted: dict[str, Any], *, check: bool = False, diff: bool = False) -> dict[str, Any]:
    """Return what a module tells after it has brought the programs to their version."""
    programs = [releases.Binary(b["member"], Path(b["dest"])) for b in wanted["binaries"]]
    release = releases.Release(**{**wanted, "binaries": tuple(programs)})
    try:
        before = releases.converge(release, check)
    except releases.ReleaseError as error:
        return {"failed": True, "msg": str(error)}
    version = releases.without_build(release.version)
    shown = {"diff": releases.version_diff(release, before)} if diff else {}
    return {
        "changed": before is not None,
        "installed_version": version if before is None else before or None,
        **shown,
    }


def both(directory: Path) -> list[dict[str, str]]:
    return [
        {"member": "*/tool", "dest": str(directory / "tool")},
        {"member": "*/tooltool", "dest": str(directory / "tooltool")},
    ]


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


# --- What it is for ---------------------------------------------------------------------------


def test_missing_programs_are_installed(upstream: Upstream, bin_directory: Path) -> None:
    url = upstream.serve("/tool.tar.gz", body(release()))
    result = converge(
        options(url, release(), bin_directory, binaries=both(bin_directory)),
    )
    assert result["changed"] is True
    assert result["installed_version"] is None
    assert (bin_directory / "tool").read_bytes() == program("1.2.3")
    assert (bin_directory / "tooltool").read_bytes() == program("1.2.3", "tooltool")
    assert names(bin_directory) == {"tool", "tooltool"}


def test_an_installed_program_belongs_to_the_modules_user_and_is_executable(
    upstream: Upstream, bin_directory: Path
) -> None:
    url = upstream.serve("/tool.tar.gz", body(release()))
    converge(options(url, release(), bin_directory))
    info = (bin_directory / "tool").stat()
    own = bin_directory.stat()
    assert (info.st_mode & 0o7777, info.st_uid, info.st_gid) == (0o755, own.st_uid, own.st_gid)


def test_the_second_run_changes_nothing_and_asks_nobody(
    upstream: Upstream, bin_directory: Path
) -> None:
    url = upstream.serve("/tool.tar.gz", body(release()))
    converge(options(url, release(), bin_directory))
    requests = len(upstream.requests)
    before = (bin_directory / "tool").stat()
    result = converge(options(url, release(), bin_directory))
    assert result["changed"] is False
    assert result["installed_version"] == "1.2.3"
    assert (bin_directory / "tool").stat() == before
    assert len(upstream.requests) == requests


def test_another_version_is_replaced(upstream: Upstream, bin_directory: Path) -> None:
    install(bin_directory / "tool", program("1.2.2"))
    url = upstream.serve("/tool.tar.gz", body(release()))
    result = converge(options(url, release(), bin_directory))
    assert result["changed"] is True
    assert result["installed_version"] == "1.2.2"
    assert (bin_directory / "tool").read_bytes() == program("1.2.3")


def test_a_version_that_only_begins_alike_is_another_one(
    upstream: Upstream, bin_directory: Path
) -> None:
    install(bin_directory / "tool", program("1.2.30"))
    url = upstream.serve("/tool.tar.gz", body(release()))
    assert converge(options(url, release(), bin_directory))["changed"]


def test_one_of_two_programs_missing_brings_both(upstream: Upstream, bin_directory: Path) -> None:
    install(bin_directory / "tool", program("1.2.3"))
    url = upstream.serve("/tool.tar.gz", body(release()))
    result = converge(
        options(url, release(), bin_directory, binaries=both(bin_directory)),
    )
    assert result["changed"] is True
    assert result["installed_version"] is None
    assert names(bin_directory) == {"tool", "tooltool"}


@pytest.mark.parametrize(
    ("mode", "content"),
    [
        pytest.param(0o644, program("1.2.3"), id="not executable"),
        pytest.param(0o777, program("1.2.3"), id="writable for all"),
        pytest.param(0o755, b"", id="empty"),
        pytest.param(0o755, b"\x00\x01", id="no program"),
        pytest.param(0o755, b"#!/bin/sh\nexit 1\n", id="no version"),
    ],
)
def test_a_damaged_program_is_replaced(
    mode: int, content: bytes, upstream: Upstream, bin_directory: Path
) -> None:
    install(bin_directory / "tool", content, mode)
    url = upstream.serve("/tool.tar.gz", body(release()))
    assert converge(options(url, release(), bin_directory))["changed"]
    assert (bin_directory / "tool").read_bytes() == program("1.2.3")


def test_a_program_that_others_may_write_is_not_run(bin_directory: Path) -> None:
    trap = bin_directory / "sprung"
    install(bin_directory / "tool", f"#!/bin/sh\ntouch {trap}\n".encode(), 0o777)
    converge(options("http://unused", b"", bin_directory), check=True)
    assert not trap.exists()


def test_a_running_program_is_replaced_and_goes_on(upstream: Upstream, bin_directory: Path) -> None:
    sleep = shutil.which("sleep")
    assert sleep
    shutil.copy(sleep, bin_directory / "tool")
    with subprocess.Popen([bin_directory / "tool", "60"]) as running:
        # To write into it would be refused: text file busy.
        with pytest.raises(OSError, match="Text file busy"):
            (bin_directory / "tool").open("r+b")
        url = upstream.serve("/tool.tar.gz", body(release()))
        result = converge(options(url, release(), bin_directory))
        alive = running.poll() is None
        running.kill()
    assert result["changed"] is True, result
    assert alive
    assert (bin_directory / "tool").read_bytes() == program("1.2.3")


def test_a_redirection_is_followed(upstream: Upstream, bin_directory: Path) -> None:
    upstream.serve("/elsewhere", body(release()))
    url = upstream.serve("/tool.tar.gz", redirect("/elsewhere"))
    assert converge(options(url, release(), bin_directory))["changed"]


@pytest.mark.parametrize(
    ("wanted", "reported"),
    [("1.2.3", "1.2.3+ds"), ("1.2.3+ds", "1.2.3+ds"), ("1.2.3+ds", "1.2.3"), ("v1.2.3", "v1.2.3")],
)
def test_build_metadata_makes_no_other_version(
    wanted: str, reported: str, bin_directory: Path
) -> None:
    install(bin_directory / "tool", program(reported))
    result = converge(options("http://unused", b"", bin_directory, version=wanted))
    assert result["changed"] is False


def test_a_release_candidate_is_another_version(bin_directory: Path) -> None:
    install(bin_directory / "tool", program("1.2.3-rc.1"))
    result = converge(options("http://unused", b"", bin_directory), check=True)
    assert result["changed"] is True
    assert result["installed_version"] == "1.2.3-rc.1"


def test_the_version_of_the_compiler_is_not_the_programs(bin_directory: Path) -> None:
    install(bin_directory / "tool", program("1.2.3"))
    result = converge(
        options("http://unused", b"", bin_directory, version="1.24.6"),
        check=True,
    )
    assert result["installed_version"] == "1.2.3"


# --- Check mode and diff ----------------------------------------------------------------------


def test_check_mode_tells_and_does_nothing(upstream: Upstream, bin_directory: Path) -> None:
    url = upstream.serve("/tool.tar.gz", body(release()))
    result = converge(options(url, release(), bin_directory), check=True)
    assert result["changed"] is True
    assert result["installed_version"] is None
    assert upstream.requests == []
    assert names(bin_directory) == set()


def test_check_mode_on_a_host_without_the_directory(tmp_path: Path) -> None:
    result = converge(options("http://unused", b"", tmp_path / "missing"), check=True)
    assert result["changed"] is True


def test_the_diff_shows_the_versions(bin_directory: Path) -> None:
    install(bin_directory / "tool", program("1.2.2"))
    result = converge(options("http://unused", b"", bin_directory), check=True, diff=True)
    assert result["diff"] == {"before": "tool 1.2.2\n", "after": "tool 1.2.3\n"}


# --- What goes wrong: an explanation, and everything as before --------------------------------


@pytest.fixture
def refused(bin_directory: Path) -> Iterator[Callable[[dict[str, Any]], str]]:
    """Return refused(options) -> the message; the old program must have stayed."""
    install(bin_directory / "tool", program("1.2.2"))

    def run(wanted: dict[str, Any]) -> str:
        result = converge(wanted)
        assert result.get("failed") is True, result
        return str(result["msg"])

    yield run
    assert (bin_directory / "tool").read_bytes() == program("1.2.2")
    assert names(bin_directory) == {"tool"}


Refused = Callable[[dict[str, Any]], str]


def test_a_wrong_checksum(refused: Refused, upstream: Upstream, bin_directory: Path) -> None:
    url = upstream.serve("/tool.tar.gz", body(release()))
    message = refused(options(url, b"something else", bin_directory))
    assert hashlib.sha256(release()).hexdigest() in message
    assert hashlib.sha256(b"something else").hexdigest() in message
    assert "tool_checksums beside it in group_vars/all/versions.yml" in message
    assert len(upstream.requests) == 1


def test_a_checksum_that_is_none(refused: Refused, bin_directory: Path) -> None:
    message = refused({**options("http://unused", b"", bin_directory), "sha256": "latest"})
    assert "tool_sha256 is 'latest'" in message


def test_a_release_that_does_not_exist(
    refused: Refused, upstream: Upstream, bin_directory: Path
) -> None:
    message = refused(options(upstream.url + "/nothing", release(), bin_directory))
    assert "404" in message
    assert upstream.url + "/nothing" in message
    assert len(upstream.requests) == 1, "a 404 does not pass by itself"


def test_no_network(refused: Refused, bin_directory: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/tool.tar.gz"
        message = refused(options(url, release(), bin_directory))
    assert "Connection refused" in message
    assert "4 tries" in message
    assert f"curl -fLO {url}" in message


def test_a_truncated_download(refused: Refused, upstream: Upstream, bin_directory: Path) -> None:
    content = release()
    url = upstream.serve("/tool.tar.gz", body(content[:-10], length=len(content)))
    message = refused(options(url, content, bin_directory))
    assert f"truncated: {len(content) - 10} of {len(content)} bytes" in message
    assert len(upstream.requests) == 4


def test_a_download_that_stalls(
    refused: Refused,
    upstream: Upstream,
    bin_directory: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(releases, "_RETRY_PAUSES", ())
    url = upstream.serve("/tool.tar.gz", stalled(release()))
    message = refused(options(url, release(), bin_directory, timeout=1))
    assert "timed out" in message


def test_a_failure_that_passes_is_tried_again(upstream: Upstream, bin_directory: Path) -> None:
    content = release()
    url = upstream.serve(
        "/tool.tar.gz", status(503), body(content[:9], length=len(content)), body(content)
    )
    assert converge(options(url, content, bin_directory))["changed"]
    assert len(upstream.requests) == 3
    assert names(bin_directory) == {"tool"}


def test_a_server_that_stays_down(
    refused: Refused, upstream: Upstream, bin_directory: Path
) -> None:
    url = upstream.serve("/tool.tar.gz", status(503))
    assert "503 Service Unavailable (4 tries)" in refused(options(url, b"", bin_directory))
    assert len(upstream.requests) == 4


def test_a_certificate_that_nobody_trusts(
    refused: Refused, upstream: Upstream, bin_directory: Path, tmp_path: Path
) -> None:
    if not shutil.which("openssl"):
        pytest.skip("makes its certificate with openssl, which is not installed")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -keyout key -out cert"
    subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    upstream.socket = context.wrap_socket(upstream.socket, server_side=True)
    url = upstream.serve("/tool.tar.gz", body(release())).replace("http://", "https://")
    message = refused(options(url, release(), bin_directory))
    assert "is not trusted" in message
    assert "update-ca-certificates" in message
    assert upstream.requests == []


def test_an_address_of_another_kind(refused: Refused, bin_directory: Path) -> None:
    assert "use https://" in refused(options("file:///etc/passwd", b"", bin_directory))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"<html>Please log in</html>", id="a web page"),
        pytest.param(b"", id="empty"),
        pytest.param(release()[:-40], id="half a tarball"),
    ],
)
def test_no_tarball(
    content: bytes, refused: Refused, upstream: Upstream, bin_directory: Path
) -> None:
    url = upstream.serve("/tool.tar.gz", body(content))
    message = refused(options(url, content, bin_directory))
    assert "is no tarball" in message


def test_a_program_that_is_not_in_the_tarball(
    refused: Refused, upstream: Upstream, bin_directory: Path
) -> None:
    url = upstream.serve("/tool.tar.gz", body(release()))
    binaries = [*both(bin_directory), {"member": "*/other", "dest": str(bin_directory / "other")}]
    message = refused(options(url, release(), bin_directory, binaries=binaries))
    assert "'*/other' is not in" in message
    assert "tool-1.2.3.linux-amd64/tooltool" in message


def test_two_programs_of_one_name(
    refused: Refused, upstream: Upstream, bin_directory: Path
) -> None:
    content = tarball({"a/tool": program("1.2.3"), "b/tool": program("1.2.3")})
    url = upstream.serve("/tool.tar.gz", body(content))
    assert "more than once" in refused(options(url, content, bin_directory))


def test_malicious_names_are_not_followed(
    refused: Refused, upstream: Upstream, bin_directory: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    content = tarball(
        {
            "../tool": program("1.2.3"),
            "/tool": program("1.2.3"),
            "./../tool": program("1.2.3"),
            f"{outside}": b"gotcha",
            "../outside": b"gotcha",
        },
        links={"x/tool": "/bin/sh"},
    )
    url = upstream.serve("/tool.tar.gz", body(content))
    assert "'*/tool' is not in" in refused(options(url, content, bin_directory))
    assert not outside.exists()


def test_a_leading_dot_in_the_tarballs_names_is_no_directory(
    upstream: Upstream, bin_directory: Path
) -> None:
    content = tarball({"./tool-1.2.3/tool": program("1.2.3")})
    url = upstream.serve("/tool.tar.gz", body(content))
    assert converge(options(url, content, bin_directory))["changed"]


def test_a_program_of_another_architecture(
    refused: Refused, upstream: Upstream, bin_directory: Path
) -> None:
    # The head of an ELF executable for the machine number 0x5441 (Fujitsu FR-V).
    elf = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\x41\x54" + bytes(44)
    content = tarball({"x/tool": elf})
    url = upstream.serve("/tool.tar.gz", body(content))
    message = refused(options(url, content, bin_directory))
    assert "Exec format error" in message
    assert "another architecture" in message


def test_a_tarball_of_another_version(
    refused: Refused, upstream: Upstream, bin_directory: Path
) -> None:
    content = release("1.2.4")
    url = upstream.serve("/tool.tar.gz", body(content))
    message = refused(options(url, content, bin_directory))
    assert "reports version 1.2.4, wanted is 1.2.3" in message
    assert "tool_version" in message


def test_one_bad_program_of_two_replaces_none(
    refused: Refused, upstream: Upstream, bin_directory: Path
) -> None:
    content = tarball({"x/tool": program("1.2.3"), "x/tooltool": program("9.9.9")})
    url = upstream.serve("/tool.tar.gz", body(content))
    refused(options(url, content, bin_directory, binaries=both(bin_directory)))


def test_a_program_that_never_ends(
    refused: Refused,
    upstream: Upstream,
    bin_directory: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(releases, "_VERSION_TIMEOUT", 0.2)
    content = tarball({"x/tool": b"#!/bin/sh\nexec sleep 60\n"})
    url = upstream.serve("/tool.tar.gz", body(content))
    assert "no program that prints its version" in refused(options(url, content, bin_directory))


@pytest.mark.parametrize("kind", ["missing", "file"])
def test_a_directory_that_cannot_be_written(kind: str, upstream: Upstream, tmp_path: Path) -> None:
    directory = tmp_path / "directory"
    if kind == "file":
        directory.write_text("in the way")
    url = upstream.serve("/tool.tar.gz", body(release()))
    result = converge(options(url, release(), directory))
    assert result["failed"] is True
    assert str(directory) in result["msg"]
    assert "become: true" in result["msg"]
    assert upstream.requests == []


def test_a_directory_in_the_place_of_the_program(upstream: Upstream, bin_directory: Path) -> None:
    (bin_directory / "tool").mkdir()
    url = upstream.serve("/tool.tar.gz", body(release()))
    result = converge(options(url, release(), bin_directory))
    assert result["failed"] is True
    assert "Is a directory" in result["msg"]
    assert names(bin_directory) == {"tool"}


def test_a_relative_destination() -> None:
    wanted = options("http://unused", b"", Path("bin"))
    assert "no absolute path" in converge(wanted)["msg"]


@pytest.mark.parametrize(
    "kill",
    [
        pytest.param(("chmod", 1), id="at the begin of the download"),
        pytest.param(("fsync", 1), id="at the end of the download"),
        pytest.param(("fsync", 2), id="with one program unpacked"),
        pytest.param(("replace", 1), id="before the first program is replaced"),
        pytest.param(("replace", 2), id="between the first and the second"),
    ],
)
def test_a_run_killed_in_the_middle_is_healed_by_the_next(
    kill: tuple[str, int],
    run_killed: RunKilled,
    upstream: Upstream,
    bin_directory: Path,
) -> None:
    install(bin_directory / "tool", program("1.2.2"))
    install(bin_directory / "tooltool", program("1.2.2", "tooltool"))
    url = upstream.serve("/tool.tar.gz", body(release()))
    wanted = options(url, release(), bin_directory, binaries=both(bin_directory))
    module = {
        "name": "tool",
        "release": {
            **{key: wanted[key] for key in ("version", "url", "sha256")},
            "tools": ["tooltool"],
            "directory": str(bin_directory),
        },
    }
    run_killed("service", module, *kill)

    for name in ("tool", "tooltool"):
        whole = {program("1.2.2", name), program("1.2.3", name)}
        assert (bin_directory / name).read_bytes() in whole
    assert len(names(bin_directory)) > 2, "it was killed too late to show anything"

    assert converge(wanted)["changed"] is True
    assert (bin_directory / "tool").read_bytes() == program("1.2.3")
    assert (bin_directory / "tooltool").read_bytes() == program("1.2.3", "tooltool")
    assert names(bin_directory) == {"tool", "tooltool"}


def test_a_dead_server_is_not_tried_for_ever(
    refused: Refused, bin_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four tries of the time limit each took four minutes."""
    clock = iter(range(0, 1000, 21))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(time, "sleep", lambda _: None)

    def dead(*_: object) -> Iterator[bytes]:
        raise releases.TransientError("timed out")
        yield b""

    monkeypatch.setattr(releases, "fetch", dead)
    assert "timed out (2 tries)" in refused(options("http://x/y.tar.gz", b"", bin_directory))
