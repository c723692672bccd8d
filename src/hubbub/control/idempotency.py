"""Answers by Idempotency-Key, so that a repeated request gets the same answer and is not done twice.

A request claims its key with a row before it begins, and stores its answer there on success; a failed request releases its key.
Rows live a day and are pruned when new ones are added. Keys are stored as digests, answers encrypted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from hubbub.control.database import Database, metadata, now
from hubbub.control.encryption import Encryption
from hubbub.errors import KeyReusedError, RateLimitedError, RequestRunningError
from hubbub.model.plain import plain

KEPT = timedelta(hours=24)
CLAIMED = timedelta(minutes=5)
"""After it a claim without an answer counts as left by a dead process, and the next request does the work."""
MOST_KEYS = 10_000
"""Keys of one tenant within a day, at most."""
LARGEST_ANSWER = 1 << 20
"""Characters; a larger answer is not stored, and its request is done again."""

repeats = sa.Table(
    "repeats", metadata,
    sa.Column("owner", sa.String(63), primary_key=True),
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("answer", sa.LargeBinary, nullable=True),
    sa.Column("created_at", sa.DateTime, nullable=False, index=True),
)  # fmt: skip


class Idempotency:
    """Answers by owner (a tenant, or "" for operators) and Idempotency-Key."""

    def __init__(self, database: Database, encryption: Encryption) -> None:
        self._database, self._encryption = database, encryption
        database.make(repeats)

    def once(
        self, owner: str, key: str, fingerprint: str, work: Callable[[], Any], hide: Iterable[str] = ()
    ) -> tuple[Any, bool]:
        """Return the answer of `work`, or an earlier request's answer as JSON; and whether it was repeated.

        `fingerprint` identifies the request. Fields in `hide` are not stored: a repeated answer has None there.
        Raises KeyReusedError when the key was used for another request, RequestRunningError while the first is running,
        RateLimitedError for too many keys, and what `work` raises.
        """
        name = hashlib.sha256(key.encode()).hexdigest()
        claimed = self._claim(owner, name, fingerprint)
        if not isinstance(claimed, datetime):
            return json.loads(self._encryption.open(claimed, owner, name)), True
        claim = _row(owner, name), repeats.c.created_at == claimed
        try:
            answer = work()
        except BaseException:
            with self._database.write() as con:
                con.execute(repeats.delete().where(*claim))
            raise
        text = json.dumps({field: None if field in hide else value for field, value in plain(answer).items()})
        with self._database.write() as con:
            if len(text) > LARGEST_ANSWER:
                con.execute(repeats.delete().where(*claim))
            else:
                con.execute(repeats.update().where(*claim).values(answer=self._encryption.seal(text, owner, name)))
        return answer, False

    def forget(self, owners: Iterable[str], names: Callable[[str], bool]) -> int:
        """Delete the answers of these owners whose JSON text matches `names`; returns how many."""
        gone = 0
        with self._database.write() as con:
            answered = sa.select(repeats).where(repeats.c.owner.in_(list(owners)), repeats.c.answer.is_not(None))
            for row in con.execute(answered).all():
                if names(self._encryption.open(bytes(row.answer), row.owner, row.key)):
                    gone += con.execute(repeats.delete().where(_row(row.owner, row.key))).rowcount
        return gone

    def _claim(self, owner: str, name: str, fingerprint: str) -> datetime | bytes:
        """Return the time of this request's claim, or the sealed answer of an earlier request."""
        moment = now()
        try:
            with self._database.write() as con:
                con.execute(repeats.delete().where(repeats.c.created_at < moment - KEPT))
                count = sa.select(sa.func.count()).select_from(repeats).where(repeats.c.owner == owner)
                if con.execute(count).scalar_one() >= MOST_KEYS and self._find(con, owner, name) is None:
                    raise RateLimitedError(
                        f"{MOST_KEYS} Idempotency-Keys a day are allowed: try again later", retry_after=3600
                    )
                values = {"owner": owner, "key": name, "fingerprint": fingerprint, "created_at": moment}
                con.execute(repeats.insert().values(values))
            return moment
        except sa.exc.IntegrityError:
            return self._claimed(owner, name, fingerprint, moment)

    def _claimed(self, owner: str, name: str, fingerprint: str, moment: datetime) -> datetime | bytes:
        """The same, for a key that was claimed before."""
        with self._database.write() as con:
            row = self._find(con, owner, name)
            if row is None:  # the other request failed just now and released the key
                raise RequestRunningError
            if row.fingerprint != fingerprint:
                raise KeyReusedError
            if row.answer is not None:
                return bytes(row.answer)
            left = _row(owner, name), repeats.c.answer.is_(None), repeats.c.created_at == row.created_at
            dead = abs(moment - row.created_at) > CLAIMED  # or claimed in the future, before the clock went back
            if dead and con.execute(repeats.update().where(*left).values(created_at=moment)).rowcount == 1:
                return moment
            raise RequestRunningError

    @staticmethod
    def _find(con: sa.Connection, owner: str, name: str) -> sa.Row[Any] | None:
        return con.execute(sa.select(repeats).where(_row(owner, name))).first()


def _row(owner: str, name: str) -> sa.ColumnElement[bool]:
    return sa.and_(repeats.c.owner == owner, repeats.c.key == name)
