"""The action plugins files and service: what reaches the host, and what is refused before."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleActionFail, AnsibleFileNotFound

from tests.unit.roles.rendering import arguments_of


def files(*entries: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what the module gets for files of the role prometheus."""
    task = {"labstack.stack.files": {"files": list(entries)}}
    return list(arguments_of("prometheus", task)["files"])


def test_a_secret_travels_under_the_option_that_is_masked() -> None:
    (file,) = files({"content": "hunter2", "dest": "/etc/x", "secret": True, "mode": "0640"})
    assert file == {"dest": "/etc/x", "mode": "0640", "secret_content": "hunter2"}


def test_a_directory_is_its_files() -> None:
    found = files({"src": "rules.d/", "dest": "/etc/x/", "group": "g"})
    assert [file["dest"] for file in found] == sorted(file["dest"] for file in found)
    assert {"/etc/x/host.yml", "/etc/x/mysql.yml"} <= {file["dest"] for file in found}
    assert all(file["content"] and file["group"] == "g" and "src" not in file for file in found)


def test_what_is_replaced_is_text() -> None:
    (file,) = files({"content": "a.c abc", "dest": "/etc/x", "replace": {"a.c": "{{ b }}"}})
    assert file["content"] == "{{ b }} abc"


def test_an_absent_file_needs_no_source() -> None:
    (file,) = files({"src": "", "dest": "/etc/x", "state": "absent"})
    assert file == {"dest": "/etc/x", "state": "absent"}


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"dest": "/etc/x"}, "has none"),
        ({"dest": "/etc/x", "content": "a", "src": "rules.yml"}, "has src and content"),
        ({"dest": "/etc/x", "src": "rules.d/"}, "dest must be one: /etc/x/"),
        ({"dest": "/etc/x/", "src": "rules.yml/"}, "is not a directory"),
    ],
)
def test_what_has_no_one_content_is_refused(entry: dict[str, Any], words: str) -> None:
    with pytest.raises(AnsibleActionFail, match=words):
        files(entry)


def test_a_missing_template_is_named_with_where_it_was_looked_for() -> None:
    with pytest.raises(AnsibleFileNotFound, match="roles/prometheus/templates/nowhere"):
        files({"template": "nowhere.j2", "dest": "/etc/x"})


@pytest.mark.parametrize(
    ("module", "arguments", "words"),
    [
        ("files", {"files": "a.conf"}, "files takes a list"),
        ("service", {"name": "x", "unit": "x.service.j2"}, "unit takes a template"),
        ("service", {"name": "x", "unit": {}}, "The unit takes one of template"),
    ],
)
def test_the_smallest_valid_form_is_shown(
    module: str, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(AnsibleActionFail, match=words):
        arguments_of("prometheus", {f"labstack.stack.{module}": arguments})
