"""What every module must have: documentation that says what the code does."""

from __future__ import annotations

import importlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.basic import AnsibleModule

from tests.unit.conftest import ROOT

MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py"))


class SpecificationReadError(Exception):
    """Ends a module's main() once its arguments are known."""


@pytest.fixture(params=MODULES)
def module(request: pytest.FixtureRequest) -> Any:
    return importlib.import_module(
        f"ansible_collections.labstack.stack.plugins.modules.{request.param}"
    )


@pytest.fixture
def specification(module: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the arguments with which the module makes its AnsibleModule.

    One without a program is an action plugin's documentation; the plugin has the arguments.
    """
    if not hasattr(module, "main"):
        action = importlib.import_module(module.__name__.replace(".modules.", ".action."))
        return {"argument_spec": action.ARGUMENTS, "supports_check_mode": True}
    read: dict[str, Any] = {}

    def note(_: AnsibleModule, argument_spec: dict[str, Any], **others: Any) -> None:
        read.update(others, argument_spec=argument_spec)
        raise SpecificationReadError

    monkeypatch.setattr(AnsibleModule, "__init__", note)
    with pytest.raises(SpecificationReadError):
        module.main()
    return read


def options_of(documentation: dict[str, Any]) -> dict[str, Any]:
    """Return the documented options, those of shared fragments among them."""
    options = dict(documentation.get("options") or {})
    for name in documentation.get("extends_documentation_fragment", []):
        path = f"ansible_collections.labstack.stack.plugins.doc_fragments.{name.rsplit('.', 1)[1]}"
        fragment = importlib.import_module(path).ModuleDocFragment
        options |= yaml.safe_load(fragment.DOCUMENTATION)["options"]
    return options


def described(options: dict[str, Any], inner: str) -> dict[str, Any]:
    """Return what a specification or a documentation says of each option."""
    return {
        name: {
            "type": option.get("type", "str"),
            "elements": option.get("elements"),
            "required": bool(option.get("required", False)),
            "default": option.get("default"),
            "choices": option.get("choices"),
            "options": described(option.get(inner) or {}, inner),
        }
        for name, option in options.items()
    }


def test_the_documented_options_are_those_of_the_code(
    module: Any, specification: dict[str, Any]
) -> None:
    documented = options_of(yaml.safe_load(module.DOCUMENTATION))
    assert described(documented, "suboptions") == described(
        specification["argument_spec"], "options"
    )


def test_check_mode_is_supported(specification: dict[str, Any]) -> None:
    assert specification["supports_check_mode"] is True


def test_the_documentation_names_the_module(module: Any) -> None:
    documentation = yaml.safe_load(module.DOCUMENTATION)
    assert documentation["module"] == Path(module.__file__).stem


def test_the_examples_use_documented_options(module: Any) -> None:
    documentation = yaml.safe_load(module.DOCUMENTATION)
    name = f"labstack.stack.{documentation['module']}"
    tasks = [t for t in yaml.safe_load(module.EXAMPLES) if name in t]
    assert tasks
    for task in tasks:
        assert set(task[name] or {}) <= set(options_of(documentation))


def test_the_returned_values_are_documented(module: Any) -> None:
    for name, value in yaml.safe_load(module.RETURN).items():
        assert {"description", "returned", "type"} <= set(value), name


def test_ansible_doc_shows_every_module() -> None:
    process = subprocess.run(
        ["ansible-doc", "--json", *(f"labstack.stack.{name}" for name in MODULES)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert sorted(json.loads(process.stdout)) == [f"labstack.stack.{name}" for name in MODULES]
