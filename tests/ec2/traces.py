"""What a host has, to be compared with what it had."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.lab import Lab

# What a host has. Left out: caches, what packages that stay write about themselves, and the record
# of logins and boots.
LOOK = {
    "units": "systemctl list-unit-files --no-legend --no-pager | awk '{print $1}' | sort",
    "running": "systemctl list-units --type=service --state=running --no-legend --plain"
    " | awk '{print $1}' | grep -v '@' | sort",
    "users": "cut -d: -f1 /etc/passwd | sort",
    "groups": "cut -d: -f1 /etc/group | sort",
    "files": "sudo find /etc /opt /usr/local /srv /home -xdev"
    " -not -path '/etc/alternatives/*' -not -path '/etc/ld.so.cache' -not -path '/home/*/.*'"
    " -not -name '*-' -not -path '/etc/ssl/certs*' | sort",
    "data": "sudo find /var/lib /var/log -xdev -mindepth 1 -maxdepth 1"
    " -not -path /var/log/alternatives.log -not -path '/var/log/wtmp*' | sort",
    "sources": "ls /etc/apt/sources.list.d /etc/apt/keyrings",
    "ports": "ss -Hltn | awk '{print $4}' | sort -u",
    "held": "apt-mark showhold",
}


def look(lab: Lab) -> dict[str, set[str]]:
    return {name: set(lab.ssh(command).stdout.splitlines()) for name, command in LOOK.items()}


def left(lab: Lab, blank: dict[str, set[str]]) -> dict[str, set[str]]:
    """What the host has that it had not."""
    return {name: more for name, now in look(lab).items() if (more := now - blank[name])}
