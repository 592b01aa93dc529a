"""What each verb runs, on which host, and with which environment."""

from __future__ import annotations

import datetime
import json
from typing import TYPE_CHECKING
from unittest import mock

import pytest
from click.testing import CliRunner, Result

from cli import __main__ as root
from cli import running, status

if TYPE_CHECKING:
    from pathlib import Path

INVENTORY = "ANSIBLE_INVENTORY"


class StartedError(Exception):
    """A program took the place of this one."""


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], dict[str, str]]]:
    """The programs that were run, with their environments; none of them really is."""
    seen: list[tuple[list[str], dict[str, str]]] = []

    def popen(command: tuple[str, ...], **options: dict[str, str]) -> mock.Mock:
        seen.append((list(command), options["env"]))
        return mock.Mock(wait=lambda: 0)

    def exec_(_: str, command: tuple[str, ...], environment: dict[str, str]) -> None:
        seen.append((list(command), environment))
        raise StartedError

    answer = mock.Mock(returncode=0, stdout="labstack-lab-ec2 172.17.0.9\n")
    monkeypatch.setattr("subprocess.Popen", popen)
    monkeypatch.setattr("subprocess.run", mock.Mock(return_value=answer))
    monkeypatch.setattr("os.execvpe", exec_)
    monkeypatch.setattr(root, "need_test_tools", lambda: None)
    for name in ("EC2_IP", "EC2_KEY", "EC2_USER", INVENTORY):
        monkeypatch.delenv(name, raising=False)
    return seen


def type_(line: str, given: str = "") -> Result:
    return CliRunner().invoke(root.cli, line.split(), input=given, prog_name="./lab")


def test_up_hands_its_arguments_on(programs: list[tuple[list[str], dict[str, str]]]) -> None:
    told = type_("up -e x=y -vv --tags prometheus -iother")
    assert programs[0][0][1:] == ["-m", "testbed", "up"]
    command, environment = programs[1]
    assert command == [
        "ansible-playbook",
        "site.yml",
        "-e",
        '{"verify_ssh_command": "./lab ssh"}',
        "-e",
        "x=y",
        "-vv",
        "--tags",
        "prometheus",
        "-iother",
    ]
    assert environment[INVENTORY] == "inventory/lab"
    assert "./lab down" in told.output


@pytest.mark.parametrize("dry", ["--check", "-C"])
def test_a_dry_run_is_not_told_as_up(
    programs: list[tuple[list[str], dict[str, str]]], dry: str
) -> None:
    assert "is up" not in type_(f"up {dry}").output
    assert len(programs) == 2


def test_ec2_up_says_nothing_is_next(programs: list[tuple[list[str], dict[str, str]]]) -> None:
    assert type_("--host ec2 up --check -e x=y").exit_code == 0
    ((command, environment),) = programs
    assert command[:4] == [
        "ansible-playbook",
        "playbooks/provision.yml",
        "-e",
        "ec2_instance_next_command=",
    ]
    assert command[4:] == ["--check", "-e", "x=y"]
    # The instance need not be there yet.
    assert INVENTORY not in environment


def test_a_host_by_its_address(
    programs: list[tuple[list[str], dict[str, str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EC2_KEY", "/keys/one.pem")
    monkeypatch.setenv("EC2_USER", "admin")
    type_("--host 203.0.113.7 up")
    type_("--host 203.0.113.7 ssh uptime -p")
    type_("--host 203.0.113.7 run ansible-playbook playbooks/verify.yml")
    (up, environment), (ssh, _), (run, other) = programs
    assert up[:2] == ["ansible-playbook", "site.yml"]
    # So that messages name our own verb.
    assert json.loads(up[3]) == {"verify_ssh_command": "./lab --host 203.0.113.7 ssh"}
    for each in (environment, other):
        assert (each[INVENTORY], each["EC2_IP"]) == ("inventory/ec2.yml", "203.0.113.7")
    assert ssh[-5:] == ["-l", "admin", "203.0.113.7", "uptime", "-p"]
    assert "/keys/one.pem" in ssh
    assert run == ["ansible-playbook", "playbooks/verify.yml"]


def test_run_leaves_the_inventory_to_whoever_types(
    programs: list[tuple[list[str], dict[str, str]]],
) -> None:
    type_("run ansible-playbook -i inventory/aws_ec2.yml site.yml --help")
    ((command, environment),) = programs
    assert command == ["ansible-playbook", "-i", "inventory/aws_ec2.yml", "site.yml", "--help"]
    assert INVENTORY not in environment


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--host 203.0.113.7 down", "playbooks/teardown.yml"),
        ("--host ec2 test", "test takes no --host"),
        ("--host 203.0.113.7 ec2 up", "ec2 takes no --host"),
        ("--host -x up", "is none of: lab, ec2, an address"),
        ("nonsense", "No such command 'nonsense'"),
        ("run", "Missing argument"),
    ],
)
def test_what_makes_no_sense_is_refused(
    programs: list[tuple[list[str], dict[str, str]]], line: str, words: str
) -> None:
    told = type_(line)
    assert told.exit_code == 2
    assert words in " ".join(told.output.split())
    assert programs == []


@pytest.mark.parametrize("answer", ["y", "Y", "yes"])
def test_a_yes_stops_the_instance(
    programs: list[tuple[list[str], dict[str, str]]], answer: str
) -> None:
    type_("ec2 down", f"{answer}\n")
    ((command, _),) = programs
    assert command == ["ansible-playbook", "playbooks/ec2-stop.yml", "-e", "ec2_confirm=yes"]


def test_a_no_does_nothing(programs: list[tuple[list[str], dict[str, str]]]) -> None:
    told = type_("ec2 down --terminate", "n\n")
    assert told.exit_code == 1
    assert told.output.endswith("Nothing was done.\n")
    nobody = type_("ec2 down")
    assert nobody.exit_code == 1
    assert "--yes" in nobody.output
    assert programs == []


def test_a_failed_program_is_our_status(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: mock.Mock(wait=lambda: 4))
    assert type_("--host 203.0.113.7 up").exit_code == 4


@pytest.mark.parametrize("own", ["AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE"])
def test_kept_credentials_count_where_there_are_no_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, own: str
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.delenv(name, raising=False)
    kept = tmp_path / "aws_credentials"
    monkeypatch.setattr(running, "KEPT_CREDENTIALS", kept)
    assert "AWS_SHARED_CREDENTIALS_FILE" not in running.environment(None)
    kept.touch()
    assert running.environment(None)["AWS_SHARED_CREDENTIALS_FILE"] == str(kept)
    monkeypatch.setenv(own, "x")
    assert running.environment(None).get("AWS_SHARED_CREDENTIALS_FILE") != str(kept)


@pytest.mark.parametrize(
    ("minutes", "text"), [(0, "0 min"), (5, "5 min"), (185, "3 h 5 min"), (3060, "2 d 3 h")]
)
def test_how_long_it_runs(minutes: int, text: str) -> None:
    now = datetime.datetime(2026, 11, 24, 12, tzinfo=datetime.UTC)
    started = (now - datetime.timedelta(minutes=minutes)).isoformat()
    assert status.since(started, now) == text


def document(**result: object) -> dict[str, object]:
    """What Ansible's JSON callback says of a run with one task on one host."""
    bad = {
        name: int(bool(result.get(key)))
        for name, key in (("failures", "failed"), ("unreachable", "unreachable"))
    }
    task = {"task": {"name": "Look"}, "hosts": {"ec2": result}}
    told = {} if any(bad.values()) else {"ec2": {"summary": "ec2: 2 checks passed"}}
    return {"plays": [{"tasks": [task]}], "stats": {"ec2": bad}, "custom_stats": told}


def test_the_verdict_is_the_verifications() -> None:
    assert status.read(document()) == status.Verdict(["ec2: 2 checks passed"], [])
    failed = status.read(document(failed=True, msg="web page: 503 instead of 200"))
    assert failed.problems == ["web page: 503 instead of 200"]
    away = status.read(document(unreachable=True, msg="Connection refused"))
    assert away.problems == ["Connection refused"]
    assert status.read({"plays": [], "stats": {}}).problems


def test_what_plugins_say_does_not_spoil_the_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    said = "ec2: a word {so far}\n" + json.dumps(document(), indent=4)
    monkeypatch.setattr("subprocess.run", mock.Mock(return_value=mock.Mock(stdout=said)))
    assert status.verify("ec2", "./lab ec2 ssh", ()).summaries == ["ec2: 2 checks passed"]


def test_each_check_is_told_where_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With -v the verification says what it saw before Ansible prints its document."""
    said = "Using ansible.cfg\nok: grafana: Grafana is healthy: 200\n" + json.dumps(
        document(), indent=4
    )
    monkeypatch.setattr("subprocess.run", mock.Mock(return_value=mock.Mock(stdout=said)))
    status.tell("lab", "./lab ssh", ("-v",))
    shown = capsys.readouterr().out.splitlines()
    assert shown == ["ok: grafana: Grafana is healthy: 200", "ec2: 2 checks passed"]


def test_an_inventory_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    done = mock.Mock(stdout="", stderr="[ERROR]: No inventory was parsed\n")
    monkeypatch.setattr("subprocess.run", mock.Mock(return_value=done))
    verdict = status.verify("ec2", "./lab ec2 ssh", ())
    assert verdict == status.Verdict([], ["[ERROR]: No inventory was parsed"])
