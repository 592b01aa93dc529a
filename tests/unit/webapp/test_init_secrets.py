"""init-secrets.sh, which makes what a developer's machine needs."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.role_readme import REPOSITORY

APP = REPOSITORY / "app"


@pytest.fixture
def app(tmp_path: Path) -> Path:
    shutil.copy(APP / "init-secrets.sh", tmp_path)
    return tmp_path


def run(app: Path) -> str:
    command = [app / "init-secrets.sh"]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd="/").stdout


def contents(app: Path) -> dict[str, str]:
    return {str(p.relative_to(app)): p.read_text() for p in app.rglob("*") if p.is_file()}


def test_it_makes_every_file_that_compose_yaml_mounts(app: Path) -> None:
    run(app)
    wanted = yaml.safe_load((APP / "compose.yaml").read_text())["secrets"].values()
    paths = {re.sub(r"\$\{\w+:-(\./\w+)\}", r"\1", secret["file"]) for secret in wanted}
    paths |= {"tls/own/cert.pem", "tls/own/key.pem"}
    assert {str((app / path).relative_to(app)) for path in paths} == set(contents(app)) - {
        "init-secrets.sh"
    }


def test_only_the_owner_gets_to_them_and_every_container_can_read_them(app: Path) -> None:
    run(app)
    for directory, files in (("secrets", "secrets"), ("tls", "tls/own")):
        assert (app / directory).stat().st_mode & 0o777 == 0o700
        modes = {path.stat().st_mode & 0o777 for path in (app / files).iterdir()}
        assert modes == {0o444}
    # Mounted as directories, into a container that runs as another user.
    for directory in ("own", "trusted"):
        assert (app / "tls" / directory).stat().st_mode & 0o777 == 0o755


def test_a_certificate_of_before_is_kept(app: Path) -> None:
    (app / "tls").mkdir()
    for name in ("cert.pem", "key.pem"):
        (app / "tls" / name).write_text(name)
    assert "tls" not in run(app)
    assert (app / "tls" / "own" / "key.pem").read_text() == "key.pem"
    assert not (app / "tls" / "key.pem").exists()


def test_secrets_are_long_and_all_different(app: Path) -> None:
    run(app)
    values = [path.read_text() for path in (app / "secrets").iterdir()]
    assert all(re.fullmatch(r"[A-Za-z0-9]{32}", value) for value in values)
    assert len(set(values)) == len(values) == 6


def test_run_again_it_keeps_what_is_there(app: Path) -> None:
    run(app)
    before = contents(app)
    assert run(app) == ""
    assert contents(app) == before


def test_it_makes_what_is_missing(app: Path) -> None:
    run(app)
    before = contents(app)
    (app / "secrets" / "webapp_secret_key").unlink()
    (app / "tls" / "own" / "key.pem").unlink()
    assert "webapp_secret_key" in run(app)
    after = contents(app)
    assert set(after) == set(before)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"secrets/webapp_secret_key", "tls/own/cert.pem", "tls/own/key.pem"}
