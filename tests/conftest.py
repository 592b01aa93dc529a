"""What all tests share: Ansible finds this collection, and those of the package ansible."""

from __future__ import annotations

from pathlib import Path

from ansible.plugins.loader import init_plugin_loader

# As `collections_path` in ansible.cfg does for a run.
init_plugin_loader([str(Path(__file__).parents[1] / "collections")])
