"""Requests that may be sent again: the header Idempotency-Key of the API's POSTs.

The first request with a key leaves its answer in the table `requests`, in the transaction that adds
the row. Another with the same key gets that answer. A second one that arrives while the first is
under way waits for it, because both insert the same primary key.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import current_app, request
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.orm import Session

from webapp import auth, db
from webapp.models import Answered
from webapp.schemas import InvalidBodyError

HEADER = "Idempotency-Key"
MAX_LENGTH = 255
KEPT = "1 DAY"
OTHER_BODY = "was sent with another body before"


@dataclass(frozen=True)
class Answer:
    """What the first request with a key was answered.

    Attributes:
        row_id: of the row that it added.
        shown: the row as it was then.
    """

    row_id: int
    shown: dict[str, Any]


@dataclass(frozen=True)
class Attempt:
    """A request with a key.

    Attributes:
        digest: of the key, of who sends it and where; 32 bytes.
        body: of what is sent; 32 bytes.
    """

    digest: bytes
    body: bytes

    def earlier(self) -> Answer | None:
        """Return the answer of the first request with this key; None: this is the first.

        Raises:
            webapp.schemas.InvalidBodyError: that one brought something else.
        """
        wanted = select(Answered.body, Answered.row_id, Answered.answer).where(
            Answered.digest == self.digest,
            text(f"created_at >= CURRENT_TIMESTAMP - INTERVAL {KEPT}"),
        )
        with db.reading() as connection:
            found = connection.execute(wanted).one_or_none()
        if found is None:
            return None
        if not hmac.compare_digest(found.body, self.body):
            raise InvalidBodyError({HEADER: (OTHER_BODY, {})})
        return Answer(found.row_id, found.answer)

    def begin(self, session: Session) -> None:
        """Claim the key in the transaction of the change, and forget old ones.

        Raises:
            webapp.db.DuplicateError: another request has claimed it in the meantime.
        """
        session.execute(
            delete(Answered).where(text(f"created_at < CURRENT_TIMESTAMP - INTERVAL {KEPT}"))
        )
        session.execute(insert(Answered).values(digest=self.digest, body=self.body))

    def end(self, session: Session, row_id: int, shown: Mapping[str, Any]) -> None:
        """Keep the answer."""
        # As it leaves: times and prices are text.
        answer = json.loads(current_app.json.dumps(shown))
        session.execute(
            update(Answered)
            .where(Answered.digest == self.digest)
            .values(row_id=row_id, answer=answer)
        )


def attempt(body: Mapping[str, object]) -> Attempt | None:
    """Return the request's attempt; None where it has no key.

    Args:
        body: what it brings.

    Raises:
        webapp.schemas.InvalidBodyError: the key is empty, too long or not printable ASCII.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not 0 < len(key) <= MAX_LENGTH or not key.isascii() or not key.isprintable():
        raise InvalidBodyError(
            {HEADER: ("must have 1 to {max} printable ASCII characters", {"max": MAX_LENGTH})}
        )
    user = auth.current_user()
    where = [user.id if user else 0, request.path, key]
    return Attempt(_hmac(where), _hmac(body))


def _hmac(value: object) -> bytes:
    # With the application's key: a body may hold a password, and nobody who has the table alone
    # may try guesses on it.
    secret = str(current_app.secret_key).encode()
    text_of = current_app.json.dumps(value, sort_keys=True)
    return hmac.digest(secret, text_of.encode(errors="surrogatepass"), "sha256")
