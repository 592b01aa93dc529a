"""Render a role's templates as Ansible does, without a host."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import action_loader
from ansible.template import Templar, trust_as_template

from tests.role_readme import REPOSITORY, ROLES

SAMPLES = Path(__file__).parent / "samples.yml"
_WRITERS = ("labstack.stack.service", "labstack.stack.files")


@cache
def _loader() -> DataLoader:
    """Return a loader of files below the repository; conftest.py has made the plugins known."""
    loader = DataLoader()
    loader.set_basedir(str(REPOSITORY))
    return loader


def load(path: Path) -> dict[str, Any]:
    """Return a YAML file of variables as Ansible loads it, an empty one where there is none."""
    if not path.exists():
        return {}
    loaded: dict[str, Any] = _loader().load_from_file(str(path), trusted_as_template=True) or {}
    return loaded


def variables(role: str, **overrides: object) -> dict[str, Any]:
    """Return what the role sees: defaults, group_vars/all, its vars, the samples, the overrides."""
    directory = ROLES / role
    samples = load(SAMPLES)
    merged = load(directory / "defaults" / "main.yml")
    for path in sorted((REPOSITORY / "group_vars" / "all").glob("*.yml")):
        merged |= load(path)
    merged |= load(directory / "vars" / "main.yml")
    merged |= samples["every_role"] | samples.get(role, {})
    return merged | overrides


def evaluate(role: str, expression: str, **overrides: object) -> Any:
    """Return the value of a Jinja expression with the role's variables.

    Raises:
        ansible.errors.AnsibleError: an undefined variable, or another fault of a template.
    """
    templar = Templar(loader=_loader(), variables=variables(role, **overrides))
    return templar.template(trust_as_template("{{ " + expression + " }}"))


class _Task:
    """What the action plugins ask of a task: its arguments, and where its files are."""

    def __init__(self, role: str, arguments: dict[str, Any]) -> None:
        self.args = arguments
        self._path = [str(ROLES / role), str(ROLES / role / "tasks")]

    def get_search_path(self) -> list[str]:
        return self._path


def arguments_of(role: str, task: dict[str, Any], **overrides: object) -> dict[str, Any]:
    """Return what the module of a task gets on the host: `labstack.stack.service` or `files`.

    Raises:
        ansible.errors.AnsibleError: an undefined variable, or another fault of a template.
    """
    (name,) = [key for key in task if key in _WRITERS]
    known = variables(role, **overrides)
    known |= {"role_name": role, "role_path": str(ROLES / role)} | task.get("vars", {})
    templar = Templar(loader=_loader(), variables=known)
    action = action_loader.get(
        name,
        task=_Task(role, templar.template(task[name])),
        connection=None,
        play_context=None,
        loader=_loader(),
        templar=templar,
        shared_loader_obj=None,
    )
    arguments: dict[str, Any] = action.module_arguments(known)
    return arguments


def written_arguments(role: str, tasks: str, *names: str, **overrides: object) -> dict[str, Any]:
    """Return what the module of the first task of those modules in a task file gets on the host.

    Raises:
        ansible.errors.AnsibleError: an undefined variable, or another fault of a template.
    """
    path = ROLES / role / "tasks" / tasks
    entries = _loader().load_from_file(str(path), trusted_as_template=True)
    task = next(entry for entry in entries if any(name in entry for name in names))
    return arguments_of(role, task, **overrides)


def written(role: str, tasks: str = "main.yml", **overrides: object) -> dict[str, dict[str, Any]]:
    """Return the files that the first service or files task of a task file writes, by path.

    Raises:
        ansible.errors.AnsibleError: an undefined variable, or another fault of a template.
    """
    arguments = written_arguments(role, tasks, *_WRITERS, **overrides)
    files = {file["dest"]: file for file in arguments["files"]}
    if "unit" in arguments:
        files["unit"] = arguments["unit"]
    return files


def render(role: str, template: str, **overrides: object) -> str:
    """Return the text of roles/<role>/templates/<template>, as `labstack.stack.files` has it.

    Raises:
        ansible.errors.AnsibleError: an undefined variable, or another fault of the template.
    """
    task = {"labstack.stack.files": {"files": [{"template": template, "dest": "/etc/x"}]}}
    (file,) = arguments_of(role, task, **overrides)["files"]
    return str(file["content"])


def templates() -> list[tuple[str, str]]:
    """Return every template of every role, as the role's name and the template's path in it."""
    found: list[tuple[str, str]] = []
    for directory in sorted(ROLES.glob("*/templates")):
        paths = sorted(path for path in directory.rglob("*.j2") if path.is_file())
        found += [(directory.parent.name, str(path.relative_to(directory))) for path in paths]
    return found


def parse_unit(text: str) -> Mapping[str, Mapping[str, list[str]]]:
    """Return the sections of a systemd unit (or of an INI file), each key with all its values.

    Raises:
        ValueError: a line is neither a section, a comment, nor an assignment.
    """
    sections: dict[str, dict[str, list[str]]] = {}
    section: dict[str, list[str]] | None = None
    for line in text.replace("\\\n", " ").splitlines():
        stripped = line.strip()
        if not stripped or stripped[0] in "#;":
            continue
        if stripped[0] == "[" and stripped[-1] == "]":
            section = sections.setdefault(stripped[1:-1], {})
            continue
        key, separator, value = stripped.partition("=")
        if not separator or section is None:
            raise ValueError(f"not an assignment in a section: {line!r}")
        section.setdefault(key.strip(), []).append(value.strip())
    return sections
