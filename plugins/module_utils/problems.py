"""A reason not to start, and the message that shows several of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One reason not to start.

    Attributes:
        what: What is wrong, and in which variable or file.
        fix: What to do, with the command to type; one step a line.
    """

    what: str
    fix: str


def report(problems: Sequence[Problem], place: str = "") -> str:
    """Return the message that shows all problems, numbered, each with its remedy."""
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    lines = [f"{count}{place}, found before anything was changed:"]
    for number, problem in enumerate(problems, 1):
        what = problem.what.replace("\n", "\n   ")
        lines.append(f"\n{number}. {what}")
        lines += [f"   -> {line}" for line in problem.fix.splitlines()]
    return "\n".join(lines)
