"""What is wrong with the values and the names of variables that people set."""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.common.yaml import yaml_load

from .problems import Problem
from .ssh_login import is_address

BOOLEANS = ("true", "false", "yes", "no", "on", "off", "1", "0")
COMMENT = re.compile(r"(?m)^\s*#.*$")


# --- Values ---------------------------------------------------------------------------------------


def _port(value: Any) -> bool:
    return str(value).isdigit() and 1 <= int(value) <= 65535


def _listens(value: Any) -> bool:
    address, colon, port = str(value).rpartition(":")
    return bool(colon) and _port(port) and (not address or is_address(address.strip("[]")))


def _binds(value: Any) -> bool:
    return _port(value) or _listens(value)


def _url(value: Any) -> bool:
    try:
        parts = urlsplit(str(value))
        return (
            parts.scheme in ("http", "https")
            and is_address(parts.hostname or "")
            and (parts.port is None or parts.port > 0)
            and not re.search(r"\s", str(value))
        )
    except ValueError:
        return False


def _network(value: Any) -> bool:
    try:
        ipaddress.ip_network(str(value))
    except ValueError:
        return False
    return True


def _email(value: Any) -> bool:
    name, _, domain = str(value).rpartition("@")
    return bool(re.fullmatch(r"[^\s@,;<>\"]+", name)) and is_address(domain) and "." in domain


def _matches(pattern: str) -> Callable[[Any], bool]:
    return lambda value: re.fullmatch(pattern, str(value)) is not None


def _password(value: Any) -> bool:
    text = str(value)
    return len(text) >= 8 and text == text.strip() and not re.search(r"[\r\n]", text)


@dataclass(frozen=True)
class Form:
    """What the values of some variables look like.

    Attributes:
        names: Pattern of the variables' names.
        fits: Says whether a value, or each element of a list, is valid.
        example: A valid value, as it is typed.
        secret: The value is never shown.
    """

    names: str
    fits: Callable[[Any], bool]
    example: str
    secret: bool = False


# The first whose pattern fits the whole name counts. An empty value is left to the role.
FORMS = (
    Form(r"vault_\w+_password", _password, '"at least eight characters"', secret=True),
    Form(r"\w+_slack_url", _url, "https://hooks.slack.com/services/T0/B0/x", secret=True),
    Form(r"\w+_urls", _url, "[https://hooks.example.net/alerts]"),
    Form(r"\w+_url", _url, "https://stack.example.net/"),
    Form(r"\w+_listen_address", _listens, '"127.0.0.1:9090"'),
    Form(r"\w+_bind", _binds, '"127.0.0.1:5000"'),
    Form(r"\w+_smarthost", _listens, '"smtp.example.net:587"'),
    Form(r"\w+_port", _port, "8080"),
    Form(r"\w+_cidrs", _network, '["203.0.113.0/24"]'),
    Form(r"\w+_email_to", _email, "[me@example.net]"),
    Form(r"\w+_email_from", _email, "labstack@example.net"),
    Form(r"stack_address", is_address, "203.0.113.7"),
    Form(r"webapp_\w+_memory", _matches(r"[1-9]\d*[kmg]"), "64m"),
    Form(r"\w+_memory_max", _matches(r"[1-9]\d*[KMG]"), "256M"),
    Form(r"\w+_disk_reserve", _matches(r"[1-9]\d*[KMG]"), "128M"),
    Form(r"\w+_retention_time", _matches(r"(\d+(ms|[smhdwy]))+"), "15d"),
    Form(r"\w+_retention_size", _matches(r"\d+([KMGTPE]?B)"), "2GB"),
)


def form_of(name: str) -> Form | None:
    """Return what the values of this variable look like; None where any is taken."""
    return next((form for form in FORMS if re.fullmatch(form.names, name)), None)


def invalid(name: str, value: Any) -> Problem | None:
    """Return the problem of an invalid value, by the form of its name; None for a valid one."""
    form = form_of(name)
    if form is None or value is None or value == "":
        return None
    values = list(value) if isinstance(value, (list, tuple)) else [value]
    wrong = [one for one in values if not form.fits(one)]
    if not wrong:
        return None
    if form.names.startswith("vault_"):
        return Problem(
            f"{name} has {len(str(value))} characters. A password takes at least 8, without a "
            "space at either end and without a line break.",
            f"choose another: ./lab run ansible-vault edit group_vars/all/vault.yml\n{name}: "
            f"{form.example}\nor remove the line: the host keeps the password it has, or makes one",
        )
    shown = "" if form.secret else f' "{wrong[0]}"'
    return Problem(f"{name}: invalid value{shown}.", f"a valid one: {name}: {form.example}")


# --- Names ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Names:
    """The names that somebody reads, from the files of the roles and of the project.

    Attributes:
        known: Every such name.
        booleans: Those that are true or false.
        prefixes: What the names of the roles and of the stack begin with.
        renamed: By old name, the new one; an empty one where there is none any more.
    """

    known: frozenset[str]
    booleans: frozenset[str]
    prefixes: tuple[str, ...]
    renamed: Mapping[str, str] = field(default_factory=dict)


def read_names(collection: Path, projects: Iterable[Path], renamed: Mapping[str, str]) -> Names:
    """Return the names, read from the roles' specifications and from where stack_* is used.

    Args:
        collection: The folder with roles/.
        projects: Folders with group_vars/ and playbooks.
        renamed: By old name, the new one; an empty one where there is none any more.

    A name of the stack is known where something reads it, not where it is set: so a typing error in
    group_vars is none.
    """
    known: set[str] = set()
    booleans: set[str] = set()
    roles = collection / "roles"
    for path in roles.glob("*/meta/argument_specs.yml"):
        for entry in yaml_load(path.read_text(encoding="utf-8"))["argument_specs"].values():
            options = entry.get("options") or {}
            known.update(options)
            booleans.update(name for name, word in options.items() if word.get("type") == "bool")
    prefixes = (
        *sorted(f"{path.parent.parent.name}_" for path in roles.glob("*/meta/main.yml")),
        "stack_",
    )
    # Read, not set: no colon behind it.
    read = r"(?<![\w.-])(?:%s)\w+\b(?!\s*:(?:\s|$))"
    of_project = re.compile(read % "|".join(("vault_", *prefixes)), re.M)
    of_roles = re.compile(read % "stack_|vault_", re.M)
    files = [
        (of_project, path)
        for project in projects
        for pattern in ("group_vars/all/*.yml", "*.yml", "playbooks/*.yml")
        for path in project.glob(pattern)
    ]
    files += [(of_roles, p) for p in roles.glob("*/*/*") if p.suffix in (".yml", ".j2")]
    for pattern, path in files:
        text = COMMENT.sub("", path.read_text(encoding="utf-8"))
        known.update(pattern.findall(text))
        booleans.update(re.findall(r"\b(stack_\w+) \| bool\b", text))
        known.update(re.findall(r"^\s*register: ([a-z]\w+)", text, re.M))
        for block in re.findall(r"set_fact:\n((?: +.*\n)+)", text):
            known.update(re.findall(r"^ +([a-z]\w+):", block, re.M))
    return Names(frozenset(known), frozenset(booleans), prefixes, renamed)


def unknown(name: str, names: Names) -> Problem | None:
    """Return the problem of a name that nobody reads; None when it is somebody's, or a user's."""
    if name in names.renamed:
        new = names.renamed[name]
        return Problem(
            f"{name} is {f'now {new}' if new else 'no longer needed'}.",
            f"write {new} in its place" if new else "remove it",
        )
    # Before the comparison: Ansible has dozens of names of its own, and one takes 2 ms.
    if name in names.known or not name.startswith(("vault_", *names.prefixes)):
        return None
    near = difflib.get_close_matches(
        name, names.known, 1, 0.8 if name.startswith("vault_") else 0.6
    )
    if name.startswith("vault_") and not near:
        return None
    fix = f"did you mean {near[0]}?" if near else "remove it, or give it a name of your own"
    return Problem(f"{name} is no variable of the stack: nothing reads it.", fix)


def not_boolean(name: str, value: Any, names: Names) -> Problem | None:
    """Return the problem of a text where true or false is wanted."""
    if name not in names.booleans or str(value).lower() in BOOLEANS:
        return None
    return Problem(f'{name}: "{value}" is neither true nor false.', f"a valid one: {name}: true")
