"""The module release_directory."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.labstack.stack.plugins.lookup import source_archive
from ansible_collections.labstack.stack.plugins.module_utils import kept_releases
from ansible_collections.labstack.stack.plugins.modules import release_directory

from tests.unit.conftest import Result, RunKilled, RunModule

Release = Callable[..., Result]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "opt" / "webapp"


@pytest.fixture
def release(run_module: RunModule, root: Path) -> Release:
    """Run the module: release(source=...), release(state="current", name=...)."""

    def run(*, check: bool = False, **options: Any) -> Result:
        return run_module(release_directory.main, {"root": str(root), **options}, check=check)

    return run


def names(directory: Path) -> list[str]:
    return sorted(entry.name for entry in directory.iterdir())


def sources(tmp_path: Path, text: str = "one") -> dict[str, str]:
    directory = tmp_path / "sources"
    (directory / "mysql").mkdir(parents=True, exist_ok=True)
    (directory / "compose.yaml").write_text(f"# {text}\n")
    (directory / "mysql" / "start").write_text("#!/bin/sh\n")
    (directory / "mysql" / "start").chmod(0o755)
    return source_archive.pack(directory)


def archive(*members: tarfile.TarInfo) -> dict[str, str]:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(bytes(member.size)))
    content = buffer.getvalue()
    return {
        "digest": hashlib.sha256(content).hexdigest(),
        "archive": base64.b64encode(gzip.compress(content)).decode(),
    }


def test_a_release_appears_under_its_digest(release: Release, root: Path, tmp_path: Path) -> None:
    source = sources(tmp_path)
    result = release(source=source)
    assert result["changed"]
    assert result["name"] == source["digest"][:12]
    assert result["current"] == ""
    path = root / "releases" / result["name"]
    assert result["path"] == str(path)
    assert (path / "compose.yaml").read_text() == "# one\n"
    modes = {p.name: oct(p.stat().st_mode & 0o777) for p in (path, *path.rglob("*"))}
    assert modes[path.name] == modes["mysql"] == modes["start"] == "0o755"
    assert modes["compose.yaml"] == "0o644"
    assert names(root / "releases") == [result["name"]]


def test_the_same_content_is_no_work(release: Release, tmp_path: Path) -> None:
    release(source=sources(tmp_path))
    assert not release(source=sources(tmp_path))["changed"]


def test_a_release_has_its_settings_which_may_change(
    release: Release, root: Path, tmp_path: Path
) -> None:
    source = sources(tmp_path)
    name = release(source=source, settings="RELEASE=%s\nPORT=80\n")["name"]
    file = root / "releases" / name / ".env"
    assert file.read_text() == f"RELEASE={name}\nPORT=80\n"
    assert file.stat().st_mode & 0o777 == 0o644
    assert release(source=source, settings="RELEASE=%s\nPORT=80\n")["changed"] is False
    told = release(check=True, source=source, settings="RELEASE=%s\nPORT=8080\n")
    assert told["changed"]
    assert "PORT=80\n" in file.read_text()
    assert release(source=source, settings="RELEASE=%s\nPORT=8080\n")["changed"]
    assert "PORT=8080\n" in file.read_text()
    file.chmod(0o600)
    assert release(source=source, settings="RELEASE=%s\nPORT=8080\n")["changed"]
    assert file.stat().st_mode & 0o777 == 0o644


def test_the_settings_of_the_release_that_serves_can_be_brought_back(
    release: Release, root: Path, tmp_path: Path
) -> None:
    source = sources(tmp_path)
    made = release(source=source, settings="PORT=80\n")
    assert made["former_settings"] == ""
    # Nobody uses them yet.
    assert release(source=source, settings="PORT=81\n")["former_settings"] == ""
    release(state="current", name=made["name"])
    assert release(source=source, settings="PORT=81\n")["former_settings"] == ""
    assert release(source=source, settings="PORT=82\n")["former_settings"] == "PORT=81\n"
    (root / "releases" / made["name"] / ".env").chmod(0o600)
    assert release(source=source, settings="PORT=82\n")["former_settings"] == ""


def test_check_mode_tells_and_writes_nothing(release: Release, root: Path, tmp_path: Path) -> None:
    result = release(source=sources(tmp_path), check=True)
    assert result["changed"]
    assert release(state="current", name=result["name"], check=True)["changed"]
    assert not root.exists()


def test_the_archive_is_not_in_the_shown_arguments(release: Release, tmp_path: Path) -> None:
    source = sources(tmp_path)
    shown = str(release(source=source)["invocation"])
    assert source["archive"] not in shown
    assert source["digest"] in shown


@pytest.mark.parametrize("at", [("fsync", 1), ("fsync", 3), ("rename", 1)])
def test_a_killed_run_leaves_no_half_release_and_is_healed(
    release: Release,
    run_killed: RunKilled,
    root: Path,
    tmp_path: Path,
    at: tuple[str, int],
) -> None:
    source = sources(tmp_path)
    options = {"root": str(root), "source": source}
    run_killed("release_directory", options, *at)
    assert not (root / "releases" / source["digest"][:12]).exists()
    assert release(source=source)["changed"]
    assert names(root / "releases") == [source["digest"][:12]]


def test_a_damaged_archive_is_refused(release: Release, root: Path, tmp_path: Path) -> None:
    source = sources(tmp_path)
    wrong = release(source={**source, "digest": "0" * 64})
    assert "SHA-256" in wrong["msg"]
    cut = release(source={**source, "archive": source["archive"][:100]})
    assert "damaged" in cut["msg"]
    assert names(root / "releases") == []


@pytest.mark.parametrize("kind", ["outside", "link", "no compose.yaml"])
def test_a_strange_archive_is_refused(release: Release, root: Path, kind: str) -> None:
    member = tarfile.TarInfo("../evil" if kind == "outside" else "entry")
    if kind == "link":
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
    result = release(source=archive(member))
    assert result["failed"]
    assert names(root / "releases") == []
    assert not (root / "evil").exists()


def test_a_checkout_becomes_a_release_without_what_is_left_out(
    release: Release, tmp_path: Path
) -> None:
    checkout = tmp_path / "checkout"
    for name in ("compose.yaml", ".git/config", "tests/test_it.py", "secrets/key", "flask/app.py"):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text("x")
    commit = "0123456789abcdef0123456789abcdef01234567"
    result = release(checkout={"path": str(checkout), "commit": commit})
    assert result["name"] == "0123456789ab"
    path = Path(result["path"])
    assert names(path) == ["compose.yaml", "flask"]


def test_both_ways_leave_out_the_same() -> None:
    assert release_directory.LEFT_OUT == source_archive.LEFT_OUT


def test_a_missing_checkout_is_told(release: Release, tmp_path: Path) -> None:
    checkout = {"path": str(tmp_path / "nothing"), "commit": "a" * 40}
    assert "nothing" in release(checkout=checkout)["msg"]


def test_a_commit_that_is_none_is_refused(release: Release, tmp_path: Path) -> None:
    result = release(checkout={"path": str(tmp_path), "commit": "main"})
    assert "'main'" in result["msg"]


def test_the_link_turns_to_the_release(release: Release, root: Path, tmp_path: Path) -> None:
    first = release(source=sources(tmp_path, "one"))["name"]
    turned = release(state="current", name=first)
    assert (turned["changed"], turned["current"]) == (True, "")
    assert (root / "current").readlink() == Path("releases") / first
    assert not release(state="current", name=first)["changed"]

    second = release(source=sources(tmp_path, "two"))
    assert second["current"] == first
    release(state="current", name=second["name"])
    assert (root / "current" / "compose.yaml").read_text() == "# two\n"


def test_a_release_that_is_not_there_cannot_serve(release: Release, root: Path) -> None:
    result = release(state="current", name="0" * 12)
    assert "there is no" in result["msg"]
    assert not (root / "current").exists()


@pytest.mark.parametrize("at", [("symlink", 1), ("replace", 1), ("mkdir", 1)])
def test_killed_while_turning_the_link_leads_to_one_of_both(
    release: Release,
    run_killed: RunKilled,
    root: Path,
    tmp_path: Path,
    at: tuple[str, int],
) -> None:
    first = release(source=sources(tmp_path, "one"))["name"]
    release(state="current", name=first)
    second = release(source=sources(tmp_path, "two"))["name"]
    options = {"root": str(root), "state": "current", "name": second}
    run_killed("release_directory", options, *at)
    assert (root / "current").readlink().name in {first, second}
    release(state="current", name=second)
    assert names(root) == ["current", "releases", "served"]
    assert (root / "current").readlink().name == second


def releases_of_age(root: Path, *names: str) -> None:
    """Make releases, the first the oldest."""
    for age, name in enumerate(names):
        path = root / "releases" / name
        path.mkdir(parents=True)
        kept_releases.mark(root, name)
        os.utime(root / kept_releases.SERVED / name, (1000 + age, 1000 + age))


NAMES = [letter * 12 for letter in "abcde"]


def test_the_newest_stay(release: Release, root: Path) -> None:
    releases_of_age(root, *NAMES)
    would = release(state="current", name=NAMES[4], check=True)
    assert would["removed"] == NAMES[:2]
    assert names(root / "releases") == NAMES
    assert release(state="current", name=NAMES[4])["removed"] == NAMES[:2]
    assert names(root / "releases") == NAMES[2:]


def test_releases_that_never_served_are_told(release: Release, root: Path, tmp_path: Path) -> None:
    source = sources(tmp_path)
    releases_of_age(root, "a" * 12, "b" * 12, "c" * 12)
    assert release(source=source, keep=3)["superfluous"] == ["a" * 12]
    assert release(source=source, keep=4)["superfluous"] == []


def test_going_back_makes_an_old_release_young(release: Release, root: Path) -> None:
    releases_of_age(root, *NAMES)
    result = release(state="current", name=NAMES[0], keep=2)
    assert result["removed"] == NAMES[1:4]
    assert names(root / "releases") == [NAMES[0], NAMES[4]]


def test_the_current_release_stays_even_alone(release: Release, root: Path) -> None:
    releases_of_age(root, *NAMES)
    release(state="current", name=NAMES[1], keep=0)
    assert names(root / "releases") == [NAMES[1]]


def test_what_is_no_release_is_left_alone(release: Release, root: Path) -> None:
    releases_of_age(root, *NAMES)
    (root / "releases" / "notes").mkdir()
    release(state="current", name=NAMES[4], keep=1)
    assert names(root / "releases") == [NAMES[4], "notes"]


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A docker command that has images in a file, and keeps the one that is in use."""
    directory = tmp_path / "bin"
    directory.mkdir()
    images = tmp_path / "images"
    images.write_text(
        "".join(f"labstack/{s}:{t}\n" for s in ("apache", "mysql") for t in (*NAMES, "dev"))
    )
    command = directory / "docker"
    command.write_text(
        f"""#!/bin/sh
case $2 in
  ls) [ "$4" = 'reference=labstack/*' ] && cat {images} ;;
  rm) shift 2
      for name; do
        case $name in
          *mysql:aaaaaaaaaaaa) echo "image is being used by running container 1" >&2 ;;
          *) grep -v "^$name\\$" {images} > {images}.new; mv {images}.new {images} ;;
        esac
      done ;;
esac
"""
    )
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    return images


def test_images_go_with_their_releases(release: Release, root: Path, docker: Path) -> None:
    releases_of_age(root, *NAMES)
    would = release(state="current", name=NAMES[4], images="labstack/", check=True)
    result = release(state="current", name=NAMES[4], images="labstack/")
    assert would["removed"] == result["removed"]
    assert f"labstack/apache:{NAMES[1]}" in result["removed"]
    left = docker.read_text().split()
    assert {line.rpartition(":")[2] for line in left if "apache" in line} == {*NAMES[2:], "dev"}
    # One that a container still holds is not worth failing for.
    assert f"labstack/mysql:{NAMES[0]}" in left
    assert "being used" in str(result["warnings"])


def test_images_that_a_killed_run_left_go_next_time(
    release: Release, root: Path, docker: Path
) -> None:
    releases_of_age(root, NAMES[3], NAMES[4])
    release(state="current", name=NAMES[4])
    assert release(state="current", name=NAMES[4], images="labstack/")["changed"]
    assert f"labstack/apache:{NAMES[1]}" not in docker.read_text()


def test_an_engine_that_does_not_answer_is_told(
    release: Release, root: Path, docker: Path, tmp_path: Path
) -> None:
    releases_of_age(root, NAMES[4])
    docker.unlink()
    (tmp_path / "bin" / "docker").write_text("#!/bin/sh\necho no daemon >&2\nexit 1\n")
    result = release(state="current", name=NAMES[4], images="labstack/")
    assert "no daemon" in result["msg"]


def test_without_docker_check_mode_goes_on(
    release: Release, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    releases_of_age(root, NAMES[4])
    monkeypatch.setattr(AnsibleModule, "get_bin_path", lambda *_, **__: None)
    options = {"state": "current", "name": NAMES[4], "images": "labstack/"}
    assert release(**options, check=True)["changed"]
    assert "no docker command" in release(**options)["msg"]


def test_releases_that_failed_do_not_push_out_those_that_served(
    release: Release, root: Path, tmp_path: Path
) -> None:
    def made(text: str) -> str:
        return str(release(source=sources(tmp_path, text), keep=2)["name"])

    served = made("served")
    release(state="current", name=served, keep=2)
    failed = {made("failed"), made("failed, too")}
    last = made("last")
    release(state="current", name=last, keep=2)
    kept = set(names(root / "releases"))
    assert kept == {served, last}
    assert not kept & failed
