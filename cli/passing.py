"""Commands whose arguments are another program's."""

from __future__ import annotations

import click


class Passing(click.Command):
    """Hands every argument on as it stands; `-h` or `--help` among them is a question to us."""

    # Whether help counts in the first place only: after it stands another program's command line.
    first_only = False

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Takes help out, and nothing else."""
        asked = args[:1] if self.first_only else args
        if any(argument in ctx.help_option_names for argument in asked):
            return super().parse_args(ctx, ["--help"])
        return super().parse_args(ctx, ["--", *args])


class Commanding(Passing):
    """Hands a whole command line on."""

    first_only = True
