"""What the README tells a student to type on a lab day, taken from the README itself."""

from __future__ import annotations

import re

from tests.lab import ROOT

SECTIONS = {"README.md": "A lab day on EC2", "README.es.md": "Un día de laboratorio en EC2"}
# What can be typed; the other words in `` are names.
COMMAND = re.compile(r"(?:[A-Z_]+=\S+ )*(?:\./lab|chmod) .+")


def section(file: str) -> str:
    """The section of a README that is about a lab day. Raises ValueError where there is none."""
    text = (ROOT / file).read_text()
    begin = text.index(f"## {SECTIONS[file]}\n")
    return text[begin : text.index("\n## ", begin)]


def commands(file: str = "README.md") -> list[str]:
    """Each command of the section once, in the README's order, without its explanation."""
    found = []
    for text in re.findall(r"^```\n(.*?)^```|`([^`\n]+)`", section(file), re.MULTILINE | re.DOTALL):
        for line in "".join(text).splitlines():
            # Beside a command, after some spaces, stands what it does.
            command = re.split(r" {2,}", line)[0]
            if COMMAND.fullmatch(command) and command not in found:
                found.append(command)
    return found
