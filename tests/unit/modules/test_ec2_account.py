"""ec2_account: what is missing is said before AWS is asked, or from AWS's answer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.exceptions
import botocore.session
import pytest
from ansible_collections.labstack.stack.plugins.modules import ec2_account

if TYPE_CHECKING:
    from tests.unit.conftest import RunModule

OPTIONS = {"known_hosts": "/tmp/none/known_hosts"}  # noqa: S108 - never written


@pytest.fixture(autouse=True)
def student(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A computer without credentials; its home."""
    for name in (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_PROFILE",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "EC2_KEY",
        "SSH_AUTH_SOCK",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    return tmp_path


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What EC2 answers, by operation: a document, or an exception's code and message."""
    given: dict[str, Any] = {
        "DescribeInstances": {"Reservations": []},
        "DescribeKeyPairs": {"KeyPairs": [{"KeyName": "vockey"}]},
    }

    def call(client: Any, operation: str, _: dict[str, Any]) -> Any:
        region = client.meta.region_name
        answer = given.get(f"{operation} {region}", given[operation])
        if isinstance(answer, tuple):
            code, message = answer
            raise botocore.exceptions.ClientError(
                {"Error": {"Code": code, "Message": message}}, operation
            )
        return answer

    monkeypatch.setattr("botocore.client.BaseClient._make_api_call", call)
    return given


def with_keys(monkeypatch: pytest.MonkeyPatch, key: str = "AKIAEXAMPLE", token: str = "") -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    if token:
        monkeypatch.setenv("AWS_SESSION_TOKEN", token)


def test_no_credentials(run_module: RunModule) -> None:
    result = run_module(ec2_account.main, OPTIONS)
    assert result["failed"]
    assert result["msg"].startswith("There are no AWS credentials on this computer.")
    assert "-> ./lab ec2 credentials" in result["msg"]


def test_a_session_key_without_its_token(
    run_module: RunModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_keys(monkeypatch, "ASIAEXAMPLE")
    assert "have no session token" in run_module(ec2_account.main, OPTIONS)["msg"]


def test_no_region(run_module: RunModule, monkeypatch: pytest.MonkeyPatch) -> None:
    with_keys(monkeypatch)
    monkeypatch.delenv("AWS_REGION")
    assert "No AWS region is set." in run_module(ec2_account.main, OPTIONS)["msg"]


def test_half_a_key(run_module: RunModule, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    message = run_module(ec2_account.main, OPTIONS)["msg"]
    assert "lack AWS_SECRET_ACCESS_KEY" in message


def test_an_unknown_profile(run_module: RunModule, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "lab")
    assert "does not exist: lab" in run_module(ec2_account.main, OPTIONS)["msg"]


def test_the_answer_of_an_ended_session(
    run_module: RunModule, monkeypatch: pytest.MonkeyPatch, answers: dict[str, Any]
) -> None:
    with_keys(monkeypatch, "ASIAEXAMPLE", "token")
    answers["DescribeInstances"] = (
        "UnauthorizedOperation",
        "You are not authorized to perform this operation. User: arn:aws:sts::1:assumed-role/"
        "voclabs/user1=x is not authorized to perform: ec2:DescribeInstances with an explicit deny "
        "in an identity-based policy: arn:aws:iam::1:policy/voc-cancel-cred",
    )
    assert "session has ended" in run_module(ec2_account.main, OPTIONS)["msg"]


@pytest.mark.usefixtures("answers")
def test_a_learner_lab(
    run_module: RunModule,
    monkeypatch: pytest.MonkeyPatch,
    student: Path,
) -> None:
    """A profile with a region, vockey, and its key where the browser has put it."""
    (student / "credentials").write_text(
        "[lab]\naws_access_key_id=ASIAEXAMPLE\naws_secret_access_key=x\naws_session_token=y\n"
        "region=us-west-2\n"
    )
    monkeypatch.setenv("AWS_PROFILE", "lab")
    (student / "Downloads").mkdir()
    key = student / "Downloads" / "labsuser.pem"
    key.write_text("")
    result = run_module(ec2_account.main, OPTIONS)
    assert not result.get("failed"), result
    assert result["region"] == "us-west-2"
    assert (result["key_name"], result["key_file"]) == ("vockey", str(key))
    assert result["instance"] == {}
    assert result["public_key"] == ""


@pytest.mark.usefixtures("answers")
def test_vockey_without_its_file(
    run_module: RunModule,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_keys(monkeypatch)
    assert "Download PEM" in run_module(ec2_account.main, OPTIONS)["msg"]
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    assert not run_module(ec2_account.main, OPTIONS).get("failed")


def test_the_own_public_key(
    run_module: RunModule,
    monkeypatch: pytest.MonkeyPatch,
    answers: dict[str, Any],
    student: Path,
) -> None:
    with_keys(monkeypatch)
    answers["DescribeKeyPairs"] = {"KeyPairs": []}
    assert "ssh-keygen -t ed25519" in run_module(ec2_account.main, OPTIONS)["msg"]
    (student / ".ssh").mkdir()
    (student / ".ssh" / "id_rsa.pub").write_text("ssh-rsa AAAA me\n")
    result = run_module(ec2_account.main, OPTIONS)
    assert (result["key_name"], result["public_key"]) == ("", "ssh-rsa AAAA me")


def test_a_key_pair_that_another_region_has(
    run_module: RunModule, monkeypatch: pytest.MonkeyPatch, answers: dict[str, Any]
) -> None:
    with_keys(monkeypatch)
    answers["DescribeKeyPairs us-west-2"] = {"KeyPairs": [{"KeyName": "mine"}]}
    message = run_module(ec2_account.main, {**OPTIONS, "key_name": "mine"})["msg"]
    assert "mine (ec2_instance_key_name) does not exist in the region us-east-1" in message
    assert "-> AWS_REGION=us-west-2 before the command: it is there" in message


def test_an_error_that_another_module_met(run_module: RunModule) -> None:
    said = "Instance creation failed => VcpuLimitExceeded: You have requested more vCPU capacity"
    result = run_module(ec2_account.main, {**OPTIONS, "said": said})
    assert result["msg"].startswith("The account's quota is used up")
    assert said in result["msg"]
