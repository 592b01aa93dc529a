"""A host, as the verbs that all hosts share see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Host:
    """A host that can be asked.

    Attributes:
        name: as `cli.running.environment` takes it.
        verb: what is typed before a verb for this host: "./lab", "./lab ec2".
        ssh: returns the command line that runs what is added to it there; AWS may be asked for it.
    """

    name: str
    verb: str
    ssh: Callable[[], tuple[str, ...]]
