"""Lists in pages, searched and sorted: neither 160 MB nor a reader takes a million rows at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Select, func, or_, select

from webapp.i18n import N_
from webapp.models import Change, Product, Row, User, columns
from webapp.schemas import InvalidBodyError

PER_PAGE = 50
MAX_PER_PAGE = 100
M_co = TypeVar("M_co", bound=Row, covariant=True)

# MySQL walks over every row that it skips: a million at most.
MAX_PAGE = 10_000
MAX_SEARCH = 100


@dataclass(frozen=True)
class Query:
    """What of a list is asked for.

    Attributes:
        page: from 1.
        per_page: rows a page.
        q: text to search for; empty: all.
        sort: a column, with "-" before it for the other direction.
    """

    page: int = 1
    per_page: int = PER_PAGE
    q: str = ""
    sort: str = "id"

    @property
    def column(self) -> str:
        """The column that sorts."""
        return self.sort.removeprefix("-")

    @property
    def descending(self) -> bool:
        """Whether the largest comes first."""
        return self.sort.startswith("-")


@dataclass(frozen=True)
class Page:
    """A page of a list.

    Attributes:
        rows: what it shows.
        total: rows of the whole list.
        query: what was asked for.
    """

    rows: Sequence[Any]
    total: int
    query: Query

    @property
    def pages(self) -> int:
        """The number of pages; an empty list has one."""
        return max(1, -(-self.total // self.query.per_page))


@dataclass(frozen=True)
class Listing(Generic[M_co]):
    """What can be asked of a table.

    Attributes:
        model: the table.
        sortable: columns.
        searched: columns in which a text is looked for.
        usual: what sorts unless something else is asked for.
    """

    model: type[M_co]
    sortable: tuple[str, ...]
    searched: tuple[str, ...]
    usual: str = "id"

    def query(self, arguments: Mapping[str, str]) -> Query:
        """Read `page`, `per_page`, `q` and `sort` of a query string; others are not looked at.

        Raises:
            InvalidBodyError: one is not what it should be.
        """
        errors: dict[str, tuple[str, Mapping[str, Any]]] = {}
        page = _number(arguments, "page", 1, MAX_PAGE, errors)
        per_page = _number(arguments, "per_page", PER_PAGE, MAX_PER_PAGE, errors)
        q = arguments.get("q", "").strip()
        if len(q) > MAX_SEARCH:
            limits = {"minimum": 0, "maximum": MAX_SEARCH}
            errors["q"] = (N_("must have {minimum} to {maximum} characters"), limits)
        sort = arguments.get("sort", self.usual)
        if sort.removeprefix("-") not in self.sortable:
            names = {"names": ", ".join(self.sortable)}
            errors["sort"] = (N_("must be one of {names}, with - before it for descending"), names)
        if errors:
            raise InvalidBodyError(errors)
        return Query(page, per_page, q, sort)

    def statement(self, query: Query) -> Select[Any]:
        """Return the SELECT of a page."""
        table = self.model.__table__
        column = table.c[query.column]
        order = [column.desc() if query.descending else column.asc()]
        if query.column != "id":
            # Equal ones keep their order from page to page.
            order.append(table.c.id.desc() if query.descending else table.c.id.asc())
        return (
            self._matching(select(*columns(self.model)), query.q)
            .order_by(*order)
            .limit(query.per_page)
            .offset((query.page - 1) * query.per_page)
        )

    def after(self, last: int, q: str, limit: int) -> Select[Any]:
        """Return the SELECT of the rows that follow an id."""
        key = self.model.__table__.c.id
        rows = select(*columns(self.model)).where(key > last).order_by(key).limit(limit)
        return self._matching(rows, q)

    def read(self, connection: Connection, query: Query) -> Page:
        """Return a page of the list; its rows are columns by name."""
        rows = connection.execute(self.statement(query)).all()
        count = select(func.count()).select_from(self.model.__table__)
        total = connection.scalar(self._matching(count, query.q))
        return Page(rows, total or 0, query)

    def _matching(self, statement: Select[Any], q: str) -> Select[Any]:
        if not q:
            return statement
        table = self.model.__table__
        # autoescape: % and _ are looked for as they are.
        return statement.where(
            or_(*(table.c[name].contains(q, autoescape=True) for name in self.searched))
        )


def _number(
    arguments: Mapping[str, str],
    name: str,
    default: int,
    maximum: int,
    errors: dict[str, tuple[str, Mapping[str, Any]]],
) -> int:
    given = arguments.get(name, str(default))
    # isdecimal() alone would let digits of other scripts pass.
    digits = given.isascii() and given.isdecimal() and len(given) <= 9
    number = int(given) if digits else 0
    if not 1 <= number <= maximum:
        limits = {"minimum": 1, "maximum": maximum}
        errors[name] = (N_("must be from {minimum} to {maximum}"), limits)
        return default
    return number


users = Listing(
    User,
    sortable=("id", "name", "username", "email", "role", "created_at", "updated_at"),
    searched=("name", "username", "email"),
)
products = Listing(
    Product,
    sortable=("id", "name", "price", "stock", "created_at", "updated_at"),
    searched=("name", "description"),
)
changes = Listing(
    Change,
    sortable=("id",),
    searched=("username", "name"),
    # The newest first.
    usual="-id",
)
