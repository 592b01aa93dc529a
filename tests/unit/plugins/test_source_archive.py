"""The lookup source_archive."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import os
import re
import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from ansible.errors import AnsibleLookupError
from ansible.plugins.loader import lookup_loader
from ansible_collections.labstack.stack.plugins.lookup import source_archive
from ansible_collections.labstack.stack.plugins.lookup.source_archive import pack


def write(directory: Path, names: Iterable[str]) -> None:
    for name in names:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content of {name}\n")


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A small application."""
    write(tmp_path, ["compose.yaml", "flask/app.py", "mysql/start"])
    (tmp_path / "mysql/start").chmod(0o755)
    return tmp_path


def members(archive: str) -> dict[str, tarfile.TarInfo]:
    content = gzip.decompress(base64.b64decode(archive))
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return {member.name: member for member in tar}


def test_everything_is_packed_with_plain_modes_and_no_traces_of_the_packer(sources: Path) -> None:
    packed = members(pack(sources)["archive"])
    assert list(packed) == ["compose.yaml", "flask", "flask/app.py", "mysql", "mysql/start"]
    modes = {name: oct(member.mode) for name, member in packed.items()}
    assert modes["flask/app.py"] == "0o644"
    assert modes["flask"] == modes["mysql/start"] == "0o755"
    assert {(m.mtime, m.uid, m.gid, m.uname, m.gname) for m in packed.values()} == {
        (0, 0, 0, "", "")
    }


def test_the_digest_is_that_of_the_tar(sources: Path) -> None:
    result = pack(sources)
    content = gzip.decompress(base64.b64decode(result["archive"]))
    assert result["digest"] == hashlib.sha256(content).hexdigest()


def test_the_same_content_gives_the_same_archive(sources: Path, tmp_path: Path) -> None:
    first = pack(sources)
    os.utime(sources / "compose.yaml", (1, 1))
    (sources / "compose.yaml").chmod(0o600)
    assert pack(sources) == first

    copy = tmp_path / "elsewhere"
    write(copy, ["mysql/start", "flask/app.py", "compose.yaml"])
    (copy / "mysql/start").chmod(0o700)
    assert pack(copy) == first


@pytest.mark.parametrize("change", ["content", "executable", "name", "new file"])
def test_what_counts_changes_the_digest(sources: Path, change: str) -> None:
    before = pack(sources)["digest"]
    path = sources / "flask/app.py"
    if change == "content":
        path.write_text("other\n")
    elif change == "executable":
        path.chmod(0o755)
    elif change == "name":
        path.rename(path.with_name("application.py"))
    else:
        write(sources, ["flask/new.py"])
    assert pack(sources)["digest"] != before


@pytest.mark.parametrize(
    "name",
    [
        ".env",
        ".git/config",
        "secrets/webapp_db_password",
        "tls/key.pem",
        "flask/tests/test_app.py",
        "flask/__pycache__/app.pyc",
        "flask/.dockerignore",
    ],
)
def test_what_does_not_belong_on_a_host_is_left_out(sources: Path, name: str) -> None:
    before = pack(sources)
    write(sources, [name])
    assert pack(sources) == before


def test_a_directory_without_compose_yaml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnsibleLookupError, match=r"no .*/compose\.yaml.*webapp_source"):
        pack(tmp_path)


def test_a_link_is_refused(sources: Path) -> None:
    (sources / "flask/link").symlink_to("/etc/passwd")
    told = r"flask/link is neither .* Left out are: \.git, \.env\."
    with pytest.raises(AnsibleLookupError, match=told):
        pack(sources, [".git", ".env"])


def test_too_much_is_refused(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_archive, "MAX_BYTES", 10_000)
    (sources / "flask/dump.sql").write_bytes(bytes(10_000))
    with pytest.raises(AnsibleLookupError) as told:
        pack(sources, [".git", ".env"], "webapp_apps.shop.source")
    assert re.search(r"more than .* MiB \(at .*dump\.sql\)", str(told.value))
    assert "Left out are: .git, .env. A larger one: the host clones webapp_apps.shop.repo." in str(
        told.value
    )
    with pytest.raises(AnsibleLookupError, match=r"Left out are: \.\*, tests, .* webapp_repo\."):
        pack(sources)


def test_an_unreadable_file_is_told(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(AnsibleLookupError, match=r"cannot be packed: .*Permission denied"):
        pack(sources)


def test_ansible_gets_one_result_for_each_directory(sources: Path) -> None:
    lookup = lookup_loader.get("labstack.stack.source_archive")
    assert lookup.run([str(sources)], {}) == [pack(sources)]


def test_an_application_may_have_the_old_file_name_and_keep_its_hidden_files(
    tmp_path: Path,
) -> None:
    write(tmp_path, ["docker-compose.yml", ".dockerignore", ".env", ".git/HEAD", "tests/a"])
    packed = members(pack(tmp_path, [".git", ".env"])["archive"])
    assert list(packed) == [".dockerignore", "docker-compose.yml", "tests", "tests/a"]


@pytest.mark.parametrize("form", ["gztar", "zip"])
def test_an_archive_is_the_directory_in_it(tmp_path: Path, form: str) -> None:
    write(tmp_path, ["shop-1.0/compose.yaml", "shop-1.0/app.py"])
    file = shutil.make_archive(str(tmp_path / "shop"), form, tmp_path, "shop-1.0")
    assert pack(Path(file)) == pack(tmp_path / "shop-1.0")


def test_what_is_no_archive_is_told_with_its_variable(tmp_path: Path) -> None:
    (tmp_path / "shop.tgz").write_text("no")
    with pytest.raises(AnsibleLookupError, match=r"webapp_apps.shop.source takes a directory"):
        pack(tmp_path / "shop.tgz", (), "webapp_apps.shop.source")
