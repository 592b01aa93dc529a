"""An error in group_vars names its file, its line and what to do; what is right is read as ever."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret

from tests.unit.conftest import ROOT


@pytest.fixture
def group_vars(tmp_path: Path) -> Path:
    """The folder of an inventory of one host."""
    (tmp_path / "hosts").write_text("one ansible_connection=local\n")
    folder = tmp_path / "group_vars" / "all"
    folder.mkdir(parents=True)
    return folder


def read(group_vars: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Read the variables with the checkout's settings, as every command does before it begins."""
    return subprocess.run(
        ["ansible-inventory", "-i", group_vars.parents[1] / "hosts", "--host", "one", *arguments],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_files_and_folders_are_read(group_vars: Path) -> None:
    (group_vars / "a.yml").write_text("mine: 1\nboth: 1\n")
    (group_vars / "b.yml").write_text("both: 2\n")
    (group_vars.parents[1] / "host_vars").mkdir()
    (group_vars.parents[1] / "host_vars" / "one.yml").write_text("own: true\n")
    done = read(group_vars)
    found = json.loads(done.stdout)
    assert (found["mine"], found["both"], found["own"]) == (1, 2, True)
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("stack_alerting: true\n\tfoo: bar\n", ":2:1", "Tabs are usually invalid in YAML"),
        ("stack_alerting: true\n  foo: bar\n", ":2:6", "Mapping values are not allowed"),
        ("a: {{ b }}\n", ":1:4", "missing quotes around a template"),
    ],
)
def test_a_line_that_is_no_yaml_is_named(
    group_vars: Path, text: str, place: str, words: str
) -> None:
    file = group_vars / "stack.yml"
    file.write_text(text)
    done = read(group_vars)
    assert done.returncode != 0
    assert words in done.stderr
    assert f"Origin: {file}{place}" in done.stderr
    assert "Mend that line" in done.stderr


def test_a_vault_without_its_password_is_named(group_vars: Path) -> None:
    file = group_vars / "vault.yml"
    encrypted = VaultLib().encrypt("vault_x: secret\n", secret=VaultSecret(b"password"))
    file.write_bytes(encrypted)
    done = read(group_vars)
    assert done.returncode != 0
    assert f"Origin: {file}" in done.stderr
    assert "--ask-vault-pass" in done.stderr
    assert "ANSIBLE_VAULT_PASSWORD_FILE" in done.stderr


def test_a_vault_opens_with_its_password_and_no_other(group_vars: Path, tmp_path: Path) -> None:
    encrypted = VaultLib().encrypt("vault_x: secret\n", secret=VaultSecret(b"password"))
    (group_vars / "vault.yml").write_bytes(encrypted)
    passwords = tmp_path / "passwords"
    passwords.write_text("password\n")
    found = read(group_vars, "--vault-password-file", str(passwords))
    assert json.loads(found.stdout)["vault_x"] == "secret"
    passwords.write_text("another\n")
    refused = read(group_vars, "--vault-password-file", str(passwords))
    assert refused.returncode != 0
    assert "the password is not the file's" in refused.stderr
