"""Write each role's README.md from its meta/argument_specs.yml.

Usage: python -m tests.role_readme [--check]
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parent.parent
ROLES = REPOSITORY / "roles"
_NOTICE = (
    "<!-- Written by `python -m tests.role_readme` from meta/argument_specs.yml: edit that. -->"
)
_TITLES = {"main": "Variables"}


def role_directories(roles: Path = ROLES) -> list[Path]:
    """Return the directory of every role, sorted by name."""
    return sorted(path for path in roles.iterdir() if (path / "tasks").is_dir())


def load_spec(role: Path) -> dict[str, dict[str, Any]]:
    """Return the argument specs of a role, by entry point.

    Raises:
        FileNotFoundError: the role has no meta/argument_specs.yml.
    """
    text = (role / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
    specs: dict[str, dict[str, Any]] = yaml.safe_load(text)["argument_specs"]
    return specs


def _paragraphs(description: str | list[str]) -> list[str]:
    """Turn Ansible's markup into Markdown: C(x), O(x) and V(x) become `x`, B(x) becomes **x**."""
    texts = [description] if isinstance(description, str) else description
    marked = [re.sub(r"\b[COV]\(([^)]*)\)", r"`\1`", text.strip()) for text in texts]
    return [re.sub(r"\bB\(([^)]*)\)", r"**\1**", text) for text in marked]


def _code(value: object) -> str:
    """Return a YAML value in one line, as inline code of a table's cell."""
    text = yaml.safe_dump(value, default_flow_style=True, width=sys.maxsize, sort_keys=False)
    text = text.removesuffix("\n").removesuffix("\n...")
    if (
        isinstance(value, str)
        and value
        and not re.search(r"^[\W\d]|[:#]\s|^(true|false|null)$", value)
    ):
        text = value
    return "`" + text.replace("|", "\\|") + "`"


def _type(option: Mapping[str, Any]) -> str:
    """Return the type of an option, with the type of a list's elements and the choices."""
    name: str = option.get("type", "str")
    if "elements" in option:
        name += f" of {option['elements']}"
    if "choices" in option:
        name += ": " + ", ".join(_code(choice) for choice in option["choices"])
    return name


def _default(option: Mapping[str, Any]) -> str:
    """Return what stands in an option's default cell."""
    if option.get("required", False):
        return "**required**"
    return _code(option["default"]) if "default" in option else ""


def _rows(options: Mapping[str, Mapping[str, Any]], prefix: str = "") -> Iterator[str]:
    """Yield a table row for each option, and for the options inside it."""
    for name, option in options.items():
        text = " ".join(_paragraphs(option["description"])).replace("|", "\\|")
        yield f"| `{prefix}{name}` | {_type(option)} | {_default(option)} | {text} |"
        inside = option.get("options", {})
        yield from _rows(inside, f"{prefix}{name}{'[]' if option['type'] == 'list' else ''}.")


def _example_value(option: Mapping[str, Any]) -> object:
    """Return a value that shows the form of a required option."""
    if option.get("type") == "list" and "options" in option:
        inside = option["options"].items()
        return [{name: _example_value(one) for name, one in inside if one.get("required", False)}]
    samples = {"int": 1, "bool": True, "dict": {}, "list": []}
    return samples.get(option.get("type", "str"), "…")


def _example(role: str, spec: Mapping[str, Any]) -> str:
    """Return a play with the role and the variables that it requires.

    A role whose attribute "connection" has no support works on the controller.
    """
    required = {
        name: _example_value(option)
        for name, option in spec.get("options", {}).items()
        if option.get("required", False)
    }
    entry: dict[str, Any] = {"role": role}
    if required:
        entry["vars"] = required
    connection = spec.get("attributes", {}).get("connection", {})
    where: dict[str, Any] = {"hosts": "all", "become": True}
    if connection.get("support") == "none":
        where = {"hosts": "localhost", "connection": "local"}
    play = [{**where, "roles": [entry]}]
    dumped: str = yaml.safe_dump(play, sort_keys=False, allow_unicode=True)
    return dumped.rstrip()


def render(name: str, specs: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the text of README.md for the role ``name``."""
    main = specs["main"]
    lines = [_NOTICE, "", f"# {name}", "", main["short_description"] + ".", ""]
    for paragraph in _paragraphs(main.get("description", [])):
        lines += [paragraph, ""]
    for entry_point, spec in specs.items():
        lines += [f"## {_TITLES.get(entry_point, f'Variables of tasks_from: {entry_point}')}", ""]
        if entry_point != "main":
            lines += [spec["short_description"] + ".", ""]
            for paragraph in _paragraphs(spec.get("description", [])):
                lines += [paragraph, ""]
        rows = list(_rows(spec.get("options", {})))
        if rows:
            lines += ["| variable | type | default | meaning |", "|---|---|---|---|", *rows, ""]
        else:
            lines += ["None.", ""]
    lines += ["## Example", "", "```yaml", _example(name, main), "```", ""]
    return "\n".join(lines)


def stale(roles: Path = ROLES) -> dict[Path, str]:
    """Return each README.md that differs from its spec or is missing, with its right text."""
    found: dict[Path, str] = {}
    for role in role_directories(roles):
        readme = role / "README.md"
        text = render(role.name, load_spec(role))
        if not readme.exists() or readme.read_text(encoding="utf-8") != text:
            found[readme] = text
    return found


def main(arguments: list[str] | None = None) -> int:
    """Write the files, or with --check name those that would be written; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail when out of date")
    check: bool = parser.parse_args(arguments).check
    outdated = stale()
    for readme, text in outdated.items():
        if not check:
            readme.write_text(text, encoding="utf-8")
        print(f"{'out of date' if check else 'written'}: {readme.relative_to(REPOSITORY)}")
    if check and outdated:
        print("Write them: ./lab run python -m tests.role_readme")
    return int(check and bool(outdated))


if __name__ == "__main__":
    sys.exit(main())
