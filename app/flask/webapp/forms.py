"""Forms of the pages: what a browser sends, checked by the same classes as the API's bodies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from flask import request
from flask_babel import gettext

from webapp.db import DuplicateError
from webapp.i18n import N_, plain_money, typed_money
from webapp.schemas import Body, InvalidBodyError

TAKEN = N_("There is one with this value already.")


@dataclass
class Form:
    """A form as it was typed, and what is wrong with it.

    Attributes:
        values: the text of each field; never a password.
        errors: what is wrong, by field, in the reader's language.
        current: what somebody else has saved in the meantime, by field, where it differs.
    """

    values: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    current: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, row: Any, names: tuple[str, ...]) -> Form:
        """Return a form that shows a row."""
        shown = {name: getattr(row, name) for name in names if name != "password"}
        return cls(
            {
                name: plain_money(value) if isinstance(value, Decimal) else str(value)
                for name, value in shown.items()
            }
        )

    @classmethod
    def sent(cls, names: tuple[str, ...]) -> Form:
        """Return the form that the request carries."""
        return cls({name: request.form.get(name, "") for name in names if name != "password"})

    def fail(self, error: InvalidBodyError | DuplicateError) -> None:
        """Take over what is wrong."""
        if isinstance(error, DuplicateError):
            self.errors[error.field] = gettext(TAKEN)
            return
        self.errors.update(words(error))

    def conflict(self, now: Form) -> None:
        """Show what is there now beside what was typed."""
        self.current = {
            name: value
            for name, value in now.values.items()
            # A browser sends line breaks as CR LF.
            if value != self.values[name].replace("\r\n", "\n")
        }


def words(error: InvalidBodyError) -> dict[str, str]:
    """Return what is wrong, by field, in the reader's language."""
    found = {}
    for name, (text, given) in error.errors.items():
        shown = dict(given)
        if "example" in shown:
            # An amount, as this reader writes it.
            shown["example"] = plain_money(Decimal(shown["example"]))
        found[name] = gettext(text).format(**shown)
    return found


def check(body: type[Body], names: tuple[str, ...]) -> dict[str, Any]:
    """Check the form that the request carries.

    Args:
        body: the class of the API for the same change.
        names: the form's fields; whatever else was sent does not count.

    Raises:
        InvalidBodyError: fields are missing or break their rule.
    """
    return body.check(values(request.form, names))


def values(sent: Mapping[str, str], names: tuple[str, ...]) -> dict[str, object]:
    """Return the fields as JSON would have them."""
    found: dict[str, object] = {}
    for name in names:
        text = sent.get(name, "")
        if name == "password" and not text:
            # An empty field means: as it is. Where there is none yet, it is missing.
            continue
        # A browser sends line breaks as CR LF.
        text = text.replace("\r\n", "\n")
        if name == "price":
            found[name] = typed_money(text)
        elif name == "stock":
            number = re.fullmatch(r"[0-9]{1,10}", text.strip())
            found[name] = int(text) if number else text.strip()
        else:
            found[name] = text
    return found
