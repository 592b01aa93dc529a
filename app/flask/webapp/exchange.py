"""Lists as CSV: everything out, products in. A spreadsheet reads and writes both."""

from __future__ import annotations

import csv
import io
import re
import secrets
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from flask import (
    Blueprint,
    Response,
    flash,
    redirect,
    render_template,
    request,
    stream_with_context,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from webapp import forms, listing, schemas, store
from webapp.i18n import N_
from webapp.listing import Listing
from webapp.models import Product, Record
from webapp.pages import PRODUCTS, guard
from webapp.passwords import BusyError
from webapp.schemas import InvalidBodyError, Shown

blueprint = Blueprint("exchange", __name__)
blueprint.before_request(guard)

# Rows that are read at a time, so that neither memory nor a connection is held for a long list.
BATCH = 500
# A reader who takes the time holds one of the server's eight threads.
AT_ONCE = 2
MAX_LINES = 1000
_turns = threading.BoundedSemaphore(AT_ONCE)
# What a spreadsheet would compute instead of showing it.
FORMULA = re.compile(r"^'*[=+\-@\t\r]")
COLUMNS = tuple(schemas.Product.model_fields)
HEADING = N_("The first line must name the columns, name and price among them: %(names)s.")
CELLS = N_("Line %(number)s has more or fewer cells than the first line.")
TOO_MANY = N_("The file has more than %(number)s lines.")


def _cell(value: object) -> str:
    """Return a value as a cell: text that begins like a formula gets an apostrophe."""
    if isinstance(value, str):
        return f"'{value}" if FORMULA.match(value) else value
    return value.isoformat() + "Z" if isinstance(value, datetime) else str(value)


def _plain(cell: str) -> str:
    """Return what _cell was given."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell[1:]) else cell


def _export(shown: Listing[Record], columns: type[Shown]) -> Response:
    """Stream a list, as it is searched, in the order of its ids.

    Raises:
        webapp.passwords.BusyError: AT_ONCE others are reading.
    """
    q = shown.query({"q": request.args.get("q", "")}).q
    if not _turns.acquire(blocking=False):
        raise BusyError
    try:
        # Before the answer begins: when the database is away, it is another one.
        first = store.batch(shown, 0, q, BATCH)
    except BaseException:
        _turns.release()
        raise

    def lines() -> Iterator[str]:
        names = list(columns.model_fields)
        # The mark by which Excel knows UTF-8.
        yield "\ufeff" + _line(names)
        rows = first
        while rows:
            yield "".join(_line([_cell(getattr(row, name)) for name in names]) for row in rows)
            rows = store.batch(shown, rows[-1].id, q, BATCH)

    response = Response(stream_with_context(lines()), content_type="text/csv; charset=utf-8")
    response.call_on_close(_turns.release)
    name = f"{shown.model.__tablename__}-{datetime.now(UTC):%Y-%m-%d}.csv"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _line(cells: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()


@blueprint.get("/products/export")
def export_products() -> ResponseReturnValue:
    """All products."""
    return _export(listing.products, schemas.Product)


@blueprint.get("/users/export")
def export_users() -> ResponseReturnValue:
    """All accounts, without their passwords."""
    return _export(listing.users, schemas.User)


@dataclass
class Line:
    """A line of a file to be imported.

    Attributes:
        number: of the line, from 1; the heading is line 1.
        cells: what it holds, by column.
        values: what becomes of it, when nothing is wrong.
        row_id: the product that it changes; None: it is a new one.
        errors: what is wrong, by column, in the reader's language.
    """

    number: int
    cells: dict[str, str]
    values: dict[str, Any] = field(default_factory=dict)
    row_id: int | None = None
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def version(self) -> int | None:
        """The version that the line was made from; None where the file has none."""
        text = self.cells.get("version", "")
        return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None


class FileError(Exception):
    """A file as a whole is none that can be imported; the message says why, to a reader."""


def _read(content: str) -> list[Line]:
    """Return the lines of a file, checked.

    Raises:
        FileError: it is no CSV, has other columns, or too many lines.
    """
    heading = content.partition("\n")[0]
    # A spreadsheet writes semicolons where the comma is for decimals.
    delimiter = max(",;\t", key=heading.count)
    try:
        reader = csv.DictReader(io.StringIO(content, newline=""), delimiter=delimiter, strict=True)
        names = [name.strip() for name in reader.fieldnames or []]
        reader.fieldnames = names
        fits = {"name", "price"} <= set(names) <= set(COLUMNS) and len(set(names)) == len(names)
        if not fits:
            raise FileError(gettext(HEADING, names=", ".join(COLUMNS)))
        lines = []
        for cells in reader:
            if None in cells or None in cells.values():
                raise FileError(gettext(CELLS, number=reader.line_num))
            plain = {name: _plain(cell or "") for name, cell in cells.items()}
            lines.append(Line(reader.line_num, plain))
            if len(lines) > MAX_LINES:
                raise FileError(gettext(TOO_MANY, number=MAX_LINES))
    except csv.Error as error:
        raise FileError(gettext(N_("The file is no CSV: %(why)s."), why=str(error))) from error
    if not lines:
        raise FileError(gettext(N_("The file has no lines.")))
    there = store.versions(Product, [n for line in lines if (n := _id(line)) is not None])
    for line in lines:
        _check(line, there)
    return lines


def _id(line: Line) -> int | None:
    text = line.cells.get("id", "").strip()
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def _check(line: Line, there: Mapping[int, int]) -> None:
    """Find out what becomes of a line."""
    names = tuple(name for name in PRODUCTS.fields if name in line.cells)
    try:
        line.values = PRODUCTS.new.check(forms.values(line.cells, names))
    except InvalidBodyError as error:
        line.errors.update(forms.words(error))
    if not line.cells.get("id", "").strip():
        return
    line.row_id = _id(line)
    if line.row_id is None or line.row_id not in there:
        line.errors["id"] = gettext(N_("there is no such product"))
    elif line.version not in {None, there[line.row_id]}:
        line.errors["version"] = gettext(N_("Somebody else has changed this in the meantime."))


def _show(status: int = 200, **more: Any) -> ResponseReturnValue:
    page = render_template("import.html", columns=COLUMNS, key=secrets.token_hex(16), **more)
    return page, status


@blueprint.get("/products/import")
def import_products() -> ResponseReturnValue:
    """Ask for a file."""
    return _show()


@blueprint.post("/products/import")
def import_file() -> ResponseReturnValue:
    """Show what would become of a file, and do it on yes: all of it or nothing."""
    sent = request.files.get("file")
    try:
        # The second time a browser sends it as a text, with CR LF for line breaks.
        content = sent.read().decode("utf-8-sig") if sent else request.form.get("content", "")
        lines = _read(content)
    except UnicodeDecodeError:
        return _show(422, error=gettext(N_("The file is not UTF-8: save it as “CSV UTF-8”.")))
    except FileError as error:
        return _show(422, error=str(error))
    wrong = any(line.errors for line in lines)
    if sent or wrong:
        return _show(422 if wrong else 200, lines=lines, content=content, wrong=wrong)
    try:
        added, changed = store.import_products(
            [(line.row_id, line.version, line.values) for line in lines],
            request.form.get("key", ""),
        )
    except store.StaleError:
        return _show(409, error=gettext(N_("Somebody else has changed this in the meantime.")))
    except store.RepeatedError:
        return redirect(url_for("pages.products"), 303)
    done = N_("Products added: %(added)s; changed: %(changed)s.")
    flash(gettext(done, added=added, changed=changed))
    return redirect(url_for("pages.products"), 303)
