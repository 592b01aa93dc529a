"""What is refused of names and values that people set."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.labstack.stack.plugins.module_utils import variables

from tests.unit.conftest import ROOT

RENAMED: dict[str, str] = yaml.safe_load((ROOT / "roles/preflight/vars/main.yml").read_text())[
    "__preflight_renamed"
]


@pytest.fixture(scope="module")
def names() -> variables.Names:
    return variables.read_names(ROOT, [ROOT], RENAMED)


def set_in_the_checkout() -> set[str]:
    files = [*ROOT.glob("group_vars/all/*.yml"), *ROOT.glob("roles/*/defaults/main.yml")]
    return {name for path in files for name in yaml.safe_load(path.read_text()) or {}}


def test_every_variable_of_the_checkout_is_somebodys(names: variables.Names) -> None:
    found = {name: variables.unknown(name, names) for name in set_in_the_checkout()}
    assert {name: problem.what for name, problem in found.items() if problem} == {}


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("prometheus_retention_tme", "prometheus_retention_time"),
        ("stack_monitoring_usr", "stack_monitoring_user"),
        ("vault_grafana_admin_pasword", "vault_grafana_admin_password"),
        ("node_exporter_listen_adress", "node_exporter_listen_address"),
    ],
)
def test_a_typing_error(names: variables.Names, wrong: str, right: str) -> None:
    problem = variables.unknown(wrong, names)
    assert problem
    assert problem.what == f"{wrong} is no variable of the stack: nothing reads it."
    assert problem.fix == f"did you mean {right}?"


def test_every_value_of_the_checkout_is_valid() -> None:
    for path in [*ROOT.glob("group_vars/all/*.yml"), *ROOT.glob("roles/*/defaults/main.yml")]:
        for name, value in (yaml.safe_load(path.read_text()) or {}).items():
            if "{{" not in str(value):
                assert variables.invalid(name, value) is None, f"{path}: {name}"


@pytest.mark.parametrize(
    "name", ["secrets_result", "webapp_certificate_result", "my_own", "vault_my_api_token"]
)
def test_names_of_the_run_and_of_the_user(names: variables.Names, name: str) -> None:
    assert variables.unknown(name, names) is None


def test_a_typing_error_in_group_vars_itself(tmp_path: Path) -> None:
    (tmp_path / "group_vars/all").mkdir(parents=True)
    (tmp_path / "group_vars/all/stack.yml").write_text(
        "# stack_monitoring_usr is explained here\nstack_monitoring_usr: bob\n"
    )
    names = variables.read_names(ROOT, [tmp_path], {})
    assert variables.unknown("stack_monitoring_usr", names)


def test_an_old_name_says_its_new_one(names: variables.Names) -> None:
    problem = variables.unknown("verify_webapp_admin_password", names)
    assert problem
    assert "is now verify_servers.https.password" in problem.what
    gone = variables.unknown("preflight_collections", names)
    assert gone
    assert "no longer needed" in gone.what


def test_old_names_are_nobodys(names: variables.Names) -> None:
    assert set(RENAMED) & set_in_the_checkout() == set()
    new = {name.split(".")[0] for name in RENAMED.values() if name}
    assert new <= names.known


@pytest.mark.parametrize("value", [True, False, "true", "False", "yes", "0", 1])
def test_booleans(names: variables.Names, value: Any) -> None:
    assert variables.not_boolean("stack_alerting", value, names) is None


def test_a_text_that_is_no_boolean(names: variables.Names) -> None:
    for name in ("stack_alerting", "prometheus_tls"):
        problem = variables.not_boolean(name, "maybe", names)
        assert problem
        assert problem.what == f'{name}: "maybe" is neither true nor false.'


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("prometheus_listen_address", "0.0.0.0:9090"),
        ("prometheus_listen_address", ":9090"),
        ("prometheus_listen_address", "[::1]:9090"),
        ("webapp_flask_bind", "127.0.0.1:5000"),
        ("webapp_flask_bind", 5000),
        ("webapp_http_port", "8080"),
        ("grafana_root_url", "https://[2001:db8::1]:3000/grafana"),
        ("alertmanager_email_to", "me@example.net"),
        ("alertmanager_email_to", ["me@example.net", "o'hara+x@example.org"]),
        ("alertmanager_email_to", []),
        ("alertmanager_watchdog_url", ""),
        ("stack_admin_cidrs", ["203.0.113.0/24", "2001:db8::/32"]),
        ("prometheus_retention_time", "1d12h"),
        ("webapp_mysql_memory", "320m"),
        ("vault_grafana_admin_password", "12345678"),
    ],
)
def test_valid_values(name: str, value: Any) -> None:
    assert variables.invalid(name, value) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("prometheus_listen_address", "9090"),
        ("prometheus_listen_address", "0.0.0.0:90900"),
        ("webapp_flask_bind", "localhost:"),
        ("webapp_http_port", "http"),
        ("webapp_http_port", 0),
        ("prometheus_external_url", "203.0.113.7:9090"),
        ("prometheus_external_url", "http://"),
        ("alertmanager_webhook_urls", ["hooks.example.net/x"]),
        ("alertmanager_email_to", "me@example.net, you@example.net"),
        ("alertmanager_email_to", ["nobody"]),
        ("alertmanager_smtp_smarthost", "smtp.example.net"),
        ("stack_address", "http://203.0.113.7/"),
        ("stack_admin_cidrs", ["203.0.113.7/24"]),
        ("prometheus_retention_size", "2G"),
        ("webapp_mysql_memory", "320M"),
        ("prometheus_memory_max", "256"),
    ],
)
def test_values_of_another_form(name: str, value: Any) -> None:
    problem = variables.invalid(name, value)
    assert problem
    assert problem.what.startswith(f"{name}: invalid value")
    assert problem.fix.startswith(f"a valid one: {name}: ")


def test_every_example_is_valid() -> None:
    for form in variables.FORMS:
        value = yaml.safe_load(form.example)
        assert all(map(form.fits, value if isinstance(value, list) else [value])), form.names


@pytest.mark.parametrize("value", ["abc", " 12345678", "1234\n5678"])
def test_a_password_is_refused_and_not_shown(value: str) -> None:
    problem = variables.invalid("vault_grafana_admin_password", value)
    assert problem
    assert value not in problem.what + problem.fix
    assert f"has {len(value)} characters" in problem.what


# --- In a run ---------------------------------------------------------------------------------


def play(tmp_path: Path, *arguments: str, host: str = "ansible_connection=local") -> str:
    """Run the controller's part of the preflight in the checkout's own terms; return the output."""
    inventory = tmp_path / "hosts.ini"
    inventory.write_text(f"one {host}\n")
    playbook = tmp_path / "play.yml"
    playbook.write_text(
        yaml.safe_dump(
            [
                {
                    "hosts": "all",
                    "gather_facts": False,
                    "tasks": [
                        {
                            "ansible.builtin.include_role": {
                                "name": "labstack.stack.preflight",
                                "tasks_from": "controller",
                            }
                        }
                    ],
                }
            ]
        )
    )
    (tmp_path / "group_vars").symlink_to(ROOT / "group_vars")
    done = subprocess.run(
        ["ansible-playbook", "-i", inventory, playbook, *arguments],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode == 0) is ("found before anything" not in done.stdout + done.stderr)
    return done.stdout + done.stderr


def test_a_run_refuses_all_of_it_at_once(tmp_path: Path) -> None:
    wrong = {
        "stack_monitoring_usr": "bob",
        "stack_alerting": "maybe",
        "prometheus_listen_address": "9090",
        "vault_grafana_admin_password": "abc",
        "vault_monitoring_password": "",
        "verify_closed_ports": [1],
    }
    said = play(tmp_path, "-e", json.dumps(wrong))
    assert "6 problems, found before anything was changed:" in said
    for words in (
        "did you mean stack_monitoring_user?",
        'stack_alerting: "maybe" is neither true nor false',
        'prometheus_listen_address: invalid value "9090"',
        "vault_grafana_admin_password has 3 characters",
        "vault_monitoring_password is set but empty",
        "verify_closed_ports is now verify_servers",
    ):
        assert words in said, said


def test_a_run_takes_the_texts_of_the_command_line(tmp_path: Path) -> None:
    assert "ok=2" in play(tmp_path, "-e", "stack_alerting=false webapp_http_port=8080")


def test_a_run_looks_at_the_connections_own_options(tmp_path: Path) -> None:
    host = "ansible_host=127.0.0.1 ansible_port=1 ansible_ssh_private_key_file=/no/such.pem"
    said = play(tmp_path, host=host)
    assert "127.0.0.1 port 1 refuses the connection" in said
    assert "names a file that does not exist: /no/such.pem" in said
