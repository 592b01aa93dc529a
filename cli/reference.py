"""`./lab run python -m cli.reference` writes docs/commands.md: the help of each command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.__main__ import HELP, cli
from cli.running import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE = ROOT / "docs" / "commands.md"
MARK = "<!-- What follows is written by `./lab run python -m cli.reference`. -->\n"


def helps(command: click.Command, name: str, parent: click.Context | None) -> Iterator[str]:
    """Yields the section of a command, and those of its own commands."""
    context = click.Context(command, info_name=name, parent=parent, terminal_width=78)
    context.help_option_names = HELP
    yield f"## `{context.command_path}`\n\n```\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for verb in command.list_commands(context):
            found = command.get_command(context, verb)
            if found:
                yield from helps(found, verb, context)


def page() -> str:
    """Returns the whole page: its head as it is, and the help of each command."""
    head, mark, _ = FILE.read_text(encoding="utf-8").partition(MARK)
    return "\n".join([head + mark, *helps(cli, "./lab", None)])


if __name__ == "__main__":
    FILE.write_text(page(), encoding="utf-8")
