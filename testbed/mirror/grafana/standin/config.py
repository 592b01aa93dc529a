"""grafana.ini: reading, command-line overrides, variable expansion; traps of the original kept.

``#`` and ``;`` begin a comment anywhere in a value that is not wrapped in triple quotes or
backticks; a line without ``=`` stops the start; ``cfg:default.*`` arguments lose against the file
and ``cfg:*`` arguments win; relative paths belong to the home path, so a command line tool that is
not told where the data is works on another database.
"""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

_EXPANSION = re.compile(r"\$(|__\w+)\{([^}]+)\}")
_REFERENCE = re.compile(r"%\((\w+)\)s")
_SHELL_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")

Sections = dict[str, dict[str, str]]


class ConfigError(Exception):
    """The configuration cannot be used; the message is what the log line says."""


def expand(value: str) -> str:
    """Replace ``${NAME}`` and ``$__env{NAME}``, then ``$__file{PATH}`` by the stripped content.

    Raises:
        ConfigError: a file of ``$__file{}`` cannot be read.
    """
    value = _EXPANSION.sub(_expand_env, value)
    return _EXPANSION.sub(_expand_file, value)


def _expand_env(match: re.Match[str]) -> str:
    kind, name = match.groups()
    if kind not in ("", "__env"):
        return match.group(0)
    if name == "HOSTNAME" and not os.environ.get(name):
        return socket.gethostname()
    return os.environ.get(name, "")


def _expand_file(match: re.Match[str]) -> str:
    kind, name = match.groups()
    if kind != "__file":
        return match.group(0)
    try:
        return Path(name).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(f"got error while expanding expander file: {error}") from error


def expand_provisioning(value: str) -> str:
    """Expand a provisioning value: as ``expand``, then ``$NAME``; ``$$`` is a literal dollar.

    The trap: ``$NAME`` is expanded in the result of ``$__file{}`` too, so a secret that contains a
    dollar arrives mangled unless it stands in the file itself with its dollars doubled.
    """
    return "$".join(_expand_shell(expand(part)) for part in value.split("$$"))


def _expand_shell(value: str) -> str:
    return _SHELL_VARIABLE.sub(lambda m: os.environ.get(m.group(1) or m.group(2), ""), value)


def parse_ini(text: str, origin: str) -> Sections:
    """Parse an ini file; keys before the first section belong to ``DEFAULT``.

    Raises:
        ConfigError: a line is neither a section, a comment nor ``key = value``.
    """
    sections: Sections = {"DEFAULT": {}}
    current = "DEFAULT"
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        if line.startswith("[") and line.endswith("]"):
            current = line[1:-1].strip()
            sections.setdefault(current, {})
            continue
        key, delimiter, value = line.partition("=")
        if not delimiter:
            raise ConfigError(
                f"failed to parse {origin}:{number}: key-value delimiter not found: {line}"
            )
        sections[current][key.strip()] = _clean(value.strip())
    return sections


def _clean(value: str) -> str:
    for quote in ('"""', "`"):
        if value.startswith(quote) and value.endswith(quote) and len(value) >= 2 * len(quote):
            return value[len(quote) : -len(quote)]
    return re.split(r"[#;]", value, maxsplit=1)[0].strip()


class Settings:
    """The effective configuration of a server or a command line tool."""

    def __init__(self, home: Path, config: Path | None, overrides: list[str] | None = None) -> None:
        """Load ``conf/defaults.ini`` below ``home``, then ``config``, then the overrides.

        Args:
            home: the folder that relative paths belong to.
            config: the configuration file; None for ``conf/custom.ini`` where it exists.
            overrides: arguments ``cfg:default.SECTION.KEY=VALUE`` and ``cfg:SECTION.KEY=VALUE``.

        Raises:
            ConfigError: a file is missing, cannot be parsed or expanded.
        """
        self.home = home
        defaults = home / "conf/defaults.ini"
        if not defaults.is_file():
            raise ConfigError(
                "could not find config defaults, make sure homepath command line parameter is set "
                "or working directory is homepath"
            )
        self._sections = parse_ini(defaults.read_text(encoding="utf-8"), str(defaults))
        arguments = overrides or []
        self._override("cfg:default.", arguments)
        custom = config or home / "conf/custom.ini"
        if config is not None or custom.is_file():
            try:
                text = custom.read_text(encoding="utf-8")
            except OSError as error:
                raise ConfigError(f"failed to read {custom}: {error}") from error
            for section, values in parse_ini(text, str(custom)).items():
                self._sections.setdefault(section, {}).update(values)
        self._environment()
        self._override("cfg:", [a for a in arguments if not a.startswith("cfg:default.")])
        for values in self._sections.values():
            for key, value in values.items():
                values[key] = expand(value)

    def _override(self, prefix: str, arguments: list[str]) -> None:
        for argument in arguments:
            if argument.startswith(prefix):
                name, _, value = argument[len(prefix) :].partition("=")
                section, _, key = name.rpartition(".")
                self._sections.setdefault(section, {})[key] = value

    def _environment(self) -> None:
        for section, values in self._sections.items():
            for key in values:
                name = "_".join(["GF", *([] if section == "DEFAULT" else [section]), key])
                name = re.sub(r"[.-]", "_", name).upper()
                if name in os.environ:
                    values[key] = os.environ[name]

    def get(self, section: str, key: str) -> str:
        """Return a value, ``%(key)s`` of the same section replaced; "" where there is none."""
        values = self._sections.get(section, {})
        return _REFERENCE.sub(lambda m: values.get(m.group(1), ""), values.get(key, ""))

    def flag(self, section: str, key: str) -> bool:
        """Return whether a value is one of the spellings of true."""
        return self.get(section, key).lower() in ("1", "t", "true", "y", "yes", "on")

    def path(self, key: str) -> Path:
        """Return a folder of ``[paths]``, relative ones below the home path."""
        return self.home / self.get("paths", key)

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.path("data") / self.get("database", "path")

    def masked(self) -> Sections:
        """Return every setting, secrets as asterisks, as ``/api/admin/settings`` shows them."""
        secret = re.compile(r"password|secret|token|_key$")
        return {
            section: {
                key: "*********" if value and secret.search(key) else self.get(section, key)
                for key, value in values.items()
            }
            for section, values in self._sections.items()
        }
