"""Each module's reference, from its own documentation."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import TYPE_CHECKING, Any

from antsibull_docs_parser.md import to_md
from antsibull_docs_parser.parser import Context, parse

from website.pages import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_KINDS = {"module": "modules", "inventory": "inventory", "lookup": "lookup", "filter": "filter"}


def documentation() -> dict[str, dict[str, Any]]:
    """Returns what ansible-doc says of each of our plugins, by its full name."""
    found: dict[str, dict[str, Any]] = {}
    for kind, folder in _KINDS.items():
        names = sorted(
            f"labstack.stack.{path.stem}"
            for path in (ROOT / "plugins" / folder).glob("*.py")
            if not path.stem.startswith("_")
        )
        done = subprocess.run(
            ["ansible-doc", "--json", "--type", kind, *names],
            cwd=ROOT,
            env=os.environ | {"ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections")},
            capture_output=True,
            text=True,
            check=True,
        )
        for name, said in json.loads(done.stdout).items():
            if said.get("doc"):
                found[name] = {**said, "kind": kind}
    return found


def _words(text: str | list[str] | None) -> str:
    paragraphs = [text] if isinstance(text, str) else text or []
    text = " ".join(to_md(parse(" ".join(map(str, paragraphs)), Context())).split())
    # CommonMark takes a backslash before any sign, Python-Markdown before those of its own only.
    return re.sub(r"\\(?![\\`*_{}\[\]()>#+.!|-])", "", text)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _value(value: object) -> str:
    return f"`{json.dumps(value, ensure_ascii=False)}`".replace('`"', "`").replace('"`', "`")


def _rows(options: Mapping[str, Any], before: str = "") -> Iterator[str]:
    for name, option in options.items():
        kind = option.get("type") or "str"
        if option.get("elements"):
            kind += f" of {option['elements']}"
        default = option.get("default")
        given = "required" if option.get("required") else "" if default is None else _value(default)
        meaning = _words(option.get("description"))
        if option.get("choices"):
            meaning += " One of " + ", ".join(_value(choice) for choice in option["choices"]) + "."
        yield f"| `{before}{name}` | {kind} | {_cell(given)} | {_cell(meaning)} |"
        yield from _rows(option.get("suboptions") or {}, f"{before}{name}.")


def page(name: str, said: Mapping[str, Any]) -> str:
    """Returns a plugin's page."""
    doc = said["doc"]
    text = [f"# {name.rpartition('.')[2]}", "", _words(doc["short_description"]) + "."]
    text += [
        "",
        f"`{name}`, {said['kind']}. On the command line: `ansible-doc -t {said['kind']} {name}`.",
    ]
    for paragraph in (
        [doc["description"]] if isinstance(doc["description"], str) else doc["description"]
    ):
        text += ["", _words(paragraph)]
    if doc.get("options"):
        text += ["", "## Options", "", "| option | type | default | meaning |", "|---|---|---|---|"]
        text += _rows(doc["options"])
    if said.get("examples"):
        text += ["", "## Examples", "", "```yaml", said["examples"].strip(), "```"]
    if said.get("return"):
        text += ["", "## Returns", "", "| value | type | meaning |", "|---|---|---|"]
        text += [
            f"| `{key}` | {value.get('type', '')} | {_cell(_words(value.get('description')))} |"
            for key, value in said["return"].items()
        ]
    return "\n".join(text) + "\n"


def index(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns the page that lists them all."""
    text = [
        "# Modules and plugins",
        "",
        "What the roles are made of; each says more in its own page.",
    ]
    text += ["", "| | kind | does |", "|---|---|---|"]
    text += [
        f"| [{name.rpartition('.')[2]}]({name.rpartition('.')[2]}.md) | {said['kind']} "
        f"| {_cell(_words(said['doc']['short_description']))} |"
        for name, said in sorted(found.items())
    ]
    return "\n".join(text) + "\n"
