"""The callback `progress`, in ansible-playbook: in a pipe, and in a terminal of 80 columns."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from ansible_collections.labstack.stack.plugins.callback import progress

from tests.ask import wait_until
from tests.unit.conftest import ROOT

TASKS = {
    "quiet": "- name: Look\n  ansible.builtin.command: 'true'\n  changed_when: false\n",
    "writer": (
        "- name: write | Write a file\n  ansible.builtin.copy:\n    content: x\n"
        "    dest: '{{ folder }}/written-{{ inventory_hostname }}'\n    mode: '0600'\n"
        "- ansible.builtin.include_role: {name: helper}\n"
    ),
    "helper": "- name: Help\n  ansible.builtin.command: 'true'\n  changed_when: true\n",
    "talker": "- name: Say\n  ansible.builtin.debug: {msg: 'hear, hear'}\n",
    "summer": (
        "- name: Sum up\n  ansible.builtin.set_stats:\n"
        "    {per_host: true, data: {summary: all is well}}\n"
    ),
    "broken": "- name: Break\n  ansible.builtin.fail: {msg: it is broken}\n",
    "slow": (
        "- name: Begin\n  ansible.builtin.copy:\n"
        "    {content: x, dest: '{{ folder }}/begun', mode: '0600'}\n"
        "- name: Wait\n  ansible.builtin.wait_for: {path: '{{ folder }}/never', timeout: 300}\n"
    ),
}


class Project:
    """A project of its own, with the repository's callback.

    Attributes:
        runs: where the logs are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = folder / "runs"
        for role, text in TASKS.items():
            path = folder / "roles" / role / "tasks" / "main.yml"
            path.parent.mkdir(parents=True)
            path.write_text(f"---\n{text}")
        (folder / "inventory").write_text("one ansible_connection=local\n")
        (folder / "ansible.cfg").write_text(
            f"[defaults]\ninventory = inventory\ncollections_path = {ROOT}/collections\n"
            f"interpreter_python = {sys.executable}\nstdout_callback = labstack.stack.progress\n"
            "callback_result_format = yaml\n[callback_progress]\nfolder = runs\n"
        )

    def command(self, *roles: str, options: tuple[str, ...] = ()) -> list[str]:
        """Return the command that plays these roles, each with its name as a tag."""
        play = {
            "name": "All",
            "hosts": "all",
            "gather_facts": False,
            "vars": {"folder": str(self.folder)},
            "roles": [{"role": role, "tags": [role]} for role in roles],
        }
        (self.folder / "site.yml").write_text(json.dumps([play]))
        return ["ansible-playbook", "site.yml", *options]

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a run."""
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")
        }
        kept["PATH"] = f"{Path(sys.executable).parent}:{kept['PATH']}"
        return kept

    def run_until_dots(self, *roles: str) -> str:
        """Play roles with the output in a pipe, and end them after two dots; return the output."""
        process = subprocess.Popen(
            self.command(*roles),
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert process.stdout
        output = b""
        while b".." not in output:
            part = os.read(process.stdout.fileno(), 65536)
            assert part, output
            output += part
        (self.folder / "never").touch()
        output += process.stdout.read()
        process.wait(60)
        return output.decode()

    def run(self, *roles: str, options: tuple[str, ...] = ()) -> tuple[int, str]:
        """Play roles with the output in a pipe; return the status and the output."""
        done = subprocess.run(
            self.command(*roles, options=options),
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    def in_terminal(self, *roles: str, interrupt: Path | None = None) -> str:
        """Play roles in a terminal of 80 columns; return all that it was sent.

        Args:
            roles: their names.
            interrupt: the file at whose appearance Ctrl-C is typed.
        """
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        process = subprocess.Popen(
            self.command(*roles),
            cwd=self.folder,
            env=self.environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        if interrupt:
            wait_until(interrupt.exists, 60)
            os.killpg(process.pid, signal.SIGINT)
        sent = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the other end is closed
                part = b""
            if not part:
                break
            sent += part
        os.close(ours)
        process.wait(60)
        return sent.decode()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def screen(sent: str) -> list[str]:
    """Return the lines that a terminal shows in the end."""
    lines = []
    for line in sent.replace("\r\n", "\n").split("\n"):
        shown = line.rpartition("\r\x1b[K")[2]
        lines.append(re.sub(r"\x1b\[[0-9;]*m", "", shown))
    return lines


def test_a_stage_is_a_line_with_what_changed(project: Project) -> None:
    status, output = project.run("quiet", "writer")
    assert status == 0
    first, second = output.splitlines()[:2]
    assert re.fullmatch(r"\[1/2\] quiet[ .]+\d+\.\d s  ok", first)
    assert re.fullmatch(r"\[2/2\] writer[ .]+\d+\.\d s  2 changes: Write a file; Help", second)
    assert "\x1b" not in output
    assert "TASK [" not in output
    assert "\none: ok=4 changed=2 failed=0\n" in output


def test_the_log_has_each_task_and_is_for_its_owner(project: Project) -> None:
    _, output = project.run("quiet", "writer")
    (log,) = project.runs.glob("*-site-*.log")
    assert f"Each task of this run: runs/{log.name}" in output
    text = log.read_text()
    for task in ("quiet : Look", "writer : write | Write a file", "helper : Help"):
        assert f"TASK [{task}]" in text
    assert "changed: [one]" in text
    assert log.stat().st_mode & 0o777 == 0o600


def test_the_record_has_the_counts(project: Project) -> None:
    project.run("quiet", "writer")
    (path,) = project.runs.glob("*-site-*.json")
    record = json.loads(path.read_text())
    assert record["hosts"]["one"]["changed"] == 2
    assert record["hosts"]["one"]["failed"] == 0
    assert (record["playbook"], record["check"], record["limits"]) == ("site", False, [])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", record["began"])


@pytest.mark.parametrize("option", ["--tags=quiet", "--skip-tags=quiet", "--limit=one"])
def test_the_record_says_what_a_run_left_out(option: str, project: Project) -> None:
    project.run("quiet", "writer", options=(option,))
    (path,) = project.runs.glob("*-site-*.json")
    assert json.loads(path.read_text())["limits"]


def test_the_record_says_that_it_was_a_dry_run(project: Project) -> None:
    project.run("quiet", options=("--check",))
    (path,) = project.runs.glob("*-site-*.json")
    assert json.loads(path.read_text())["check"] is True


def test_a_pipe_is_not_silent_for_long(project: Project) -> None:
    output = project.run_until_dots("slow", "quiet")
    assert "\x1b" not in output
    first, second = output.splitlines()[:2]
    # The line keeps its columns.
    assert re.fullmatch(r"\[1/2\] slow \.{2,} *\d+\.\d s  Begin", first)
    assert first.index(" s  ") == second.index(" s  ")


def test_old_logs_go(project: Project) -> None:
    project.runs.mkdir()
    for number in range(30):
        for ending in ("log", "json"):
            (project.runs / f"20000101-0000{number:02}-site-1.{ending}").touch()
    project.run("quiet")
    assert len(list(project.runs.glob("*.log"))) == progress.KEPT_LOGS
    assert len(list(project.runs.glob("2*.json"))) == progress.KEPT_LOGS


def test_a_failure_stands_in_full_and_once(project: Project) -> None:
    status, output = project.run("quiet", "broken", "writer")
    assert status == 2
    assert output.count("it is broken") == 1
    assert "TASK [broken : Break]" in output
    assert re.search(r"\[2/3\] broken[ .]+\d+\.\d s  failed", output)
    assert "[3/3]" not in output


def test_a_debug_task_speaks(project: Project) -> None:
    _, output = project.run("talker")
    assert "hear, hear" in output.splitlines()


def test_a_role_has_the_last_word(project: Project) -> None:
    _, output = project.run("summer", "quiet")
    assert "one: ok=2 changed=0 failed=0\n\nall is well\n\nEach task" in output


def test_hosts_are_counted(project: Project) -> None:
    (project.folder / "inventory").write_text(
        "one ansible_connection=local\ntwo ansible_connection=local\n"
    )
    _, output = project.run("writer")
    assert "Write a file (2 hosts)" in output


@pytest.mark.parametrize(
    ("option", "stages"), [("--tags=writer", "[1/1] writer"), ("--skip-tags=quiet", "[1/2] writer")]
)
def test_tags_leave_stages_out(option: str, stages: str, project: Project) -> None:
    _, output = project.run("quiet", "writer", "talker", options=(option,))
    assert output.startswith(stages)


@pytest.mark.parametrize("option", ["-v", "--diff"])
def test_with_these_it_is_the_default_callback(option: str, project: Project) -> None:
    _, output = project.run("quiet", options=(option,))
    assert "TASK [quiet : Look]" in output
    assert "[1/1]" not in output
    assert not project.runs.exists()


def test_without_a_place_for_the_log_the_run_goes_on(project: Project) -> None:
    project.runs.write_text("a file in the way")
    status, output = project.run("quiet")
    assert status == 0
    assert "This run has no log" in output
    assert "[1/1] quiet" in output


def test_times_that_cannot_be_read_count_as_none(project: Project) -> None:
    project.runs.mkdir()
    (project.runs / "times.json").write_text("{")
    assert project.run("quiet")[0] == 0
    assert next(iter(json.loads((project.runs / "times.json").read_text()).values()))["False"]


def test_a_failed_run_leaves_no_times(project: Project) -> None:
    project.run("broken")
    assert not (project.runs / "times.json").exists()


def test_a_terminal_shows_where_the_run_is(project: Project) -> None:
    project.run("quiet", "talker")
    sent = project.in_terminal("quiet", "talker")
    assert re.search(r"\r\x1b\[K\[1/2\] quiet  0:\d\d, about 0:\d\d left  Look", sent)
    lines = screen(sent)
    assert re.fullmatch(r"\[1/2\] quiet[ .]+\d+\.\d s  ok", lines[0])
    assert max(map(len, lines)) <= 80


def test_ctrl_c_says_how_to_go_on(project: Project) -> None:
    sent = project.in_terminal("quiet", "slow", interrupt=project.folder / "begun")
    assert screen(sent)[-2] == "Stopped in [2/2] slow. The same command goes on from there."
    assert "Traceback" not in sent


@pytest.mark.parametrize(
    ("stage", "spent", "seconds"),
    [("a", 0.0, 7.0), ("a", 1.0, 6.0), ("a", 9.0, 5.0), ("b", 1.0, 4.0), ("c", 0.0, None)],
)
def test_what_is_left(stage: str, spent: float, seconds: float | None) -> None:
    assert progress.left({"a": 2.0, "b": 5.0}, stage, spent) == seconds


@pytest.mark.parametrize(
    ("text", "width", "shown"), [("abcd", 4, "abcd"), ("abcd", 3, "ab…"), ("abcd", 0, "…")]
)
def test_shorten(text: str, width: int, shown: str) -> None:
    assert progress.shorten(text, width) == shown
