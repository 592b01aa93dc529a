"""The catalogues are complete and fit the texts."""

from __future__ import annotations

from pathlib import Path

import pytest
from babel.messages.checkers import python_format
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from tests.conftest import TRANSLATIONS

FLASK = Path(__file__).parents[1]
METHODS = [("webapp/**.py", "python"), ("webapp/templates/**.html", "jinja2")]


def texts() -> set[str]:
    """Every text of code and templates that is to be translated."""
    found = extract_from_dir(
        FLASK, METHODS, keywords={"_": None, "gettext": None, "N_": None, "ngettext": (1, 2)}
    )
    return {message for _, _, message, _, _ in found if isinstance(message, str)}


def names(text: str) -> set[str]:
    """The {names} of a text."""
    return {part.split("}")[0] for part in text.split("{")[1:]}


@pytest.mark.parametrize("language", ["es"])
def test_every_text_is_translated_and_no_other(language: str) -> None:
    with (TRANSLATIONS / language / "LC_MESSAGES" / "messages.po").open("rb") as file:
        catalog = read_po(file, locale=language)
    translated = {str(message.id) for message in catalog if message.id and message.string}
    assert translated == texts()
    assert not [m.id for m in catalog if m.fuzzy and m.id]
    for message in catalog:
        if message.id and message.python_format:
            python_format(catalog, message)
        if message.id:
            # The {names} of both are the same.
            assert names(str(message.id)) == names(str(message.string))
