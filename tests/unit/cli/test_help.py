"""`--help` and `-h` of every command: they help, do nothing, and need nothing installed."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from cli import reference
from cli.__main__ import cli
from cli.running import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

HELP = re.findall(r"## `\./lab ?(.*?)`\n\n```\n(.*?)```", reference.page(), re.DOTALL)
COMMANDS = [command for command, _ in HELP]


def test_every_verb_is_there() -> None:
    hosts = ["up", "deploy", "releases", "rollback", "status", "report", "open", "passwords"]
    hosts += ["logs", "ssh", "backup", "restore", "drill", "down"]
    ec2 = [f"ec2 {verb}" for verb in (*hosts, "credentials")]
    assert sorted(COMMANDS) == sorted(["", *hosts, "run", "test", "backups", "ec2", *ec2])


def test_the_page_is_in_step() -> None:
    written = reference.FILE.read_text(encoding="utf-8")
    assert written == reference.page(), "./lab run python -m cli.reference"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_a_terminal(command: str) -> None:
    assert [line for line in dict(HELP)[command].splitlines() if len(line) > 80] == []


def _refuse(*_: object, **__: object) -> None:
    pytest.fail("help started something")


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may be started."""
    for name in ("subprocess.Popen", "os.execvpe"):
        monkeypatch.setattr(name, _refuse)


@pytest.mark.usefixtures("idle")
@pytest.mark.parametrize("asked", ["-h", "--help"])
@pytest.mark.parametrize("command", COMMANDS)
def test_help_starts_nothing(command: str, asked: str) -> None:
    told = CliRunner().invoke(cli, [*command.split(), asked], prog_name="./lab")
    assert told.exit_code == 0, told.output
    assert told.output.split() == dict(HELP)[command].split()


@pytest.mark.usefixtures("idle")
@pytest.mark.parametrize("host", ["lab", "ec2", "203.0.113.7"])
@pytest.mark.parametrize("verb", ["up -e x=y --help", "up --check -h", "status -h", "ssh -h"])
def test_help_starts_nothing_on_any_host(host: str, verb: str) -> None:
    told = CliRunner().invoke(cli, ["--host", host, *verb.split()], prog_name="./lab")
    assert told.exit_code == 0, told.output
    assert told.output.startswith("Usage: ./lab ")


@pytest.fixture
def bare(tmp_path: Path) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """A checkout in which nothing is installed, on a computer without Python."""
    for name in ("lab", "docs/commands.md", "requirements/run.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "dirname", "readlink", "sed", "cmp", "grep", "awk", "id", "rm", "cat"):
        (programs / name).symlink_to(Path(shutil.which(name) or name).resolve())

    def run(line: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["/bin/sh", "./lab", *line.split()],
            cwd=tmp_path,
            env={"PATH": str(programs), "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert not (tmp_path / ".venv").exists()
        return done

    return run


@pytest.mark.parametrize("asked", ["-h", "--help"])
@pytest.mark.parametrize("command", COMMANDS)
def test_help_needs_nothing_installed(
    bare: Callable[[str], subprocess.CompletedProcess[str]], command: str, asked: str
) -> None:
    told = bare(f"{command} {asked}")
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout == dict(HELP)[command]


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("", ""),
        ("ec2", "ec2"),
        ("--host ec2 up -h", "ec2 up"),
        ("--host 203.0.113.7 ssh --help", "ssh"),
        ("up --check -e a=b --help", "up"),
        ("nonsense --help", ""),
    ],
)
def test_help_is_that_of_the_command(
    bare: Callable[[str], subprocess.CompletedProcess[str]], line: str, command: str
) -> None:
    assert bare(line).stdout == dict(HELP)[command]


@pytest.mark.parametrize(
    "line", ["up", "run ansible-playbook --help", "ssh sudo -h", "ec2 ssh ls -h"]
)
def test_what_is_not_help_needs_the_environment(
    bare: Callable[[str], subprocess.CompletedProcess[str]], line: str
) -> None:
    told = bare(line)
    assert told.returncode == 1
    assert "Python 3.12 or newer" in told.stderr


@pytest.mark.parametrize("environment", [{}, {"HOME": ""}], ids=["without HOME", "HOME is empty"])
def test_without_a_home_in_the_environment_the_users_own_is_taken(
    environment: dict[str, str],
) -> None:
    """Ansible would make its directory at the root of the file system, as an unprivileged user."""
    told = subprocess.run(
        [ROOT / "lab", "run", "printenv", "HOME"],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == f"{pwd.getpwuid(os.getuid()).pw_dir}\n"


def complete(shell: str, line: str, program: str = "lab") -> str:
    """What a shell is offered for the last word of a line."""
    words = line.split(" ")
    position = str(len(words) - 1)
    done = subprocess.run(
        [ROOT / program],
        env=os.environ
        | {"_LAB_COMPLETE": f"{shell}_complete", "COMP_WORDS": line, "COMP_CWORD": position}
        | ({"COMP_CWORD": words[-1]} if shell == "fish" else {}),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_told_the_verbs(shell: str) -> None:
    assert "credentials" in complete(shell, "lab ec2 c")
    assert "status" in complete(shell, "lab --host ec2 st")
    assert "--terminate" in complete(shell, "lab ec2 down --t")


@pytest.mark.parametrize("typed", ["lab", "./lab"])
def test_bash_completes(typed: str) -> None:
    """As docs/commands.md says it, in a real shell."""
    script = (
        f'eval "$(_LAB_COMPLETE=bash_source ./lab)"; COMP_WORDS=({typed} ec2 cred); COMP_CWORD=2;'
        ' complete -p lab; _lab_completion ./lab; echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "-F _lab_completion lab" in done.stdout
    assert done.stdout.splitlines()[-1] == "credentials"


def test_a_link_stands_for_the_checkouts_lab(tmp_path: Path) -> None:
    link = tmp_path / "lab"
    link.symlink_to(ROOT / "lab")
    told = subprocess.run([link, "ec2", "-h"], capture_output=True, text=True, check=True)
    assert told.stdout == dict(HELP)["ec2"]
