"""Every role is built the same way, so that one can find one's way in the next."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.role_readme import load_spec, role_directories, stale
from tests.unit.roles.rendering import written_arguments

ROLES = role_directories()
MAIN_LINES = 40
FILE_LINES = 100
# Ways to get past a failing task without knowing why.
BLINDFOLDS = [
    re.compile(r"^\s*-?\s*ignore_errors:"),
    re.compile(r"^\s*-?\s*failed_when:\s*(false|no)\b", re.IGNORECASE),
]
each_role = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)


class _Loader(yaml.SafeLoader):
    """A safe loader that takes Ansible's tags for what they tag."""


def _untagged(loader: yaml.SafeLoader, _suffix: str, node: yaml.Node) -> object:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    assert isinstance(node, yaml.MappingNode)
    return loader.construct_mapping(node, deep=True)


_Loader.add_multi_constructor("!", _untagged)


def read(path: Path) -> Any:
    return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader) if path.exists() else None  # noqa: S506 - a SafeLoader


def variables_of(role: Path, kind: str) -> dict[str, Any]:
    files = sorted((role / kind).glob("*.yml")) if (role / kind).is_dir() else []
    return {name: value for file in files for name, value in (read(file) or {}).items()}


def task_files(role: Path) -> list[Path]:
    return sorted((role / "tasks").rglob("*.yml"))


def tasks_in(entries: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for entry in entries:
        yield entry
        for inside in ("block", "rescue", "always"):
            yield from tasks_in(entry.get(inside, []))


@each_role
def test_main_is_a_table_of_contents(role: Path) -> None:
    lines = (role / "tasks" / "main.yml").read_text().splitlines()
    assert len(lines) <= MAIN_LINES


@each_role
def test_task_files_are_short(role: Path) -> None:
    lengths = {str(p.relative_to(role)): len(p.read_text().splitlines()) for p in task_files(role)}
    assert {name: lines for name, lines in lengths.items() if lines > FILE_LINES} == {}


@each_role
def test_task_names_say_where_they_are(role: Path) -> None:
    wrong = []
    for file in task_files(role):
        prefix = str(file.relative_to(role / "tasks").with_suffix("")).replace("/", " | ")
        for task in tasks_in(read(file) or []):
            name = task.get("name", "")
            # main.yml is the table of contents: its names stand by themselves.
            own = name if file.name == "main.yml" else name.removeprefix(f"{prefix} | ")
            if not own[:1].isupper() or (file.name != "main.yml" and own == name):
                wrong.append(f"{file.name}: {name!r}")
    assert wrong == []


@each_role
def test_no_task_looks_away(role: Path) -> None:
    blind = [
        f"{path.relative_to(role)}:{number}: {line.strip()}"
        for path in sorted(role.rglob("*.yml"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if any(pattern.match(line) for pattern in BLINDFOLDS)
    ]
    assert blind == []


@each_role
def test_restarts_do_not_hang_on_a_lost_run(role: Path) -> None:
    """A handler is lost with the run that notified it; the module service looks at the process."""
    assert not (role / "handlers").exists()
    notifying = [p.name for p in task_files(role) for t in tasks_in(read(p) or []) if "notify" in t]
    assert notifying == []


@each_role
def test_spec_and_defaults_agree(role: Path) -> None:
    options: dict[str, dict[str, Any]] = {}
    for spec in load_spec(role).values():
        options |= spec.get("options") or {}
    defaults = variables_of(role, "defaults")
    in_spec = {name: option["default"] for name, option in options.items() if "default" in option}
    assert in_spec == defaults


@each_role
def test_spec_is_complete(role: Path) -> None:
    incomplete = []

    def walk(options: dict[str, dict[str, Any]], path: str) -> None:
        for name, option in options.items():
            if not option.get("description") or not option.get("type"):
                incomplete.append(f"{path}{name}: description or type is missing")
            if option.get("required", False) and "default" in option:
                incomplete.append(f"{path}{name}: required, and has a default")
            if option.get("type") == "list" and "elements" not in option:
                incomplete.append(f"{path}{name}: elements is missing")
            walk(option.get("options") or {}, f"{path}{name}.")

    for entry_point, spec in load_spec(role).items():
        assert spec.get("short_description"), entry_point
        walk(spec.get("options") or {}, "")
    assert incomplete == []


@each_role
def test_names_are_prefixed(role: Path) -> None:
    public, private = f"{role.name}_", f"__{role.name}_"
    names = [*variables_of(role, "defaults")]
    names += [name for spec in load_spec(role).values() for name in spec.get("options") or {}]
    wrong = [name for name in names if not name.startswith(public)]
    wrong += [name for name in variables_of(role, "vars") if not name.startswith(private)]
    for file in task_files(role):
        for task in tasks_in(read(file) or []):
            inside = [task.get("register"), (task.get("loop_control") or {}).get("loop_var")]
            # secrets_result and its like: what a role registers for others is public.
            wrong += [n for n in inside if n and not n.startswith((public, private))]
    assert wrong == []


@each_role
def test_defaults_are_a_manual(role: Path) -> None:
    """Above each default, or above the group that it is in, stands a comment."""
    path = role / "defaults" / "main.yml"
    if not path.exists():
        return
    bare, commented = [], False
    for line in path.read_text().splitlines():
        if not line.strip():
            commented = False
        elif line.startswith("#"):
            commented = True
        elif re.match(r"[a-z_0-9]+:", line) and not commented:
            bare.append(line.split(":")[0])
    assert bare == []


@each_role
def test_meta_describes_the_role(role: Path) -> None:
    info = read(role / "meta" / "main.yml")["galaxy_info"]
    assert info["role_name"] == role.name
    assert info["description"]
    assert info["license"] == "MIT"


def test_readmes_are_up_to_date() -> None:
    assert [str(path) for path in stale()] == [], "write them: python -m tests.role_readme"


@each_role
def test_what_restarts_a_service_is_a_file_of_its_task(role: Path) -> None:
    """Names are resolved on the host; one that fits nothing, or two files, would end the run."""
    name = "labstack.stack.service"
    for file in task_files(role):
        for task in (task for task in tasks_in(read(file) or []) if name in task):
            arguments = written_arguments(role.name, file.name, name)
            places = [entry["dest"] for entry in arguments.get("files") or []]
            places += [entry["path"] for entry in arguments.get("directories") or []]
            named = [*(task[name].get("restart_on") or []), *(task[name].get("reload_on") or [])]
            for entry in (entry for entry in named if not entry.startswith("/")):
                found = [place for place in places if place.rstrip("/").rsplit("/", 1)[1] == entry]
                assert len(found) == 1, f"{file.name}: {entry} is {found}"


@each_role
def test_a_boolean_of_the_command_line_is_read_as_one(role: Path) -> None:
    """`-e x=false` is a text, which Jinja takes for true: a condition says `x | bool`."""
    options = [o for spec in load_spec(role).values() for o in (spec.get("options") or {}).items()]
    names = [name for name, option in options if option["type"] == "bool"]
    read = re.compile(
        rf"\b(?:if|and|or|not|when:|that:|-) (?:{'|'.join(names)})\b(?! \| bool)(?!:)"
    )
    paths = [p for kind in ("tasks", "vars", "templates") for p in sorted((role / kind).rglob("*"))]
    bare = [
        f"{path.relative_to(role)}: {line.strip()}"
        for path in paths
        if path.is_file() and names
        for line in path.read_text().splitlines()
        if read.search(line)
    ]
    assert bare == []
