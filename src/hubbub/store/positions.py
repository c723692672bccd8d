"""Where a shared store stands: which appends and changes of it are committed, and whose turn it is to make the next.

A ClickHouse has no transactions. Its rows carry the number of the append or change that wrote them, and count once that number
is written down here, in the control database, by the process that had the turn; numbers of processes that died or failed on the
way are lost for ever, so that what they wrote, or still write, never counts.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import sqlalchemy as sa

from hubbub.errors import StoreUnavailableError
from hubbub.store.database import Database, metadata

APPEND, CHANGE, REFRESH = "append", "change", "refresh"

LONGEST = 300.0
"""Seconds for which a turn is waited for when nothing else is said: a fold of millions of events takes its time."""

LATE = 86_400.0
"""Seconds after which nobody writes any more under a number that was lost: longer than any process that lost its turn goes on."""

IDENTITY = "identity"

_positions = sa.Table(
    "positions",
    metadata,
    sa.Column("name", sa.String(16), primary_key=True),
    sa.Column("done", sa.BigInteger, nullable=False),
    sa.Column("begun", sa.BigInteger, nullable=False),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("lost", sa.Text, nullable=False),
)


@dataclass(frozen=True)
class Position:
    """What counts of one kind of writing: numbers up to `done` but the `lost` ones; `seq` is the newest event's number.

    `losses`: lost numbers with the seconds since 1970 at which they were found lost.
    """

    done: int
    begun: int
    seq: int
    losses: tuple[tuple[int, float], ...]

    @property
    def lost(self) -> tuple[int, ...]:
        """Numbers that never count."""
        return tuple(number for number, _ in self.losses)


@dataclass(frozen=True)
class Standing:
    """Both positions, as they were at one moment."""

    append: Position
    change: Position


class Turn:
    """The right to write, under one number after the other, as long as its block lasts."""

    def __init__(self, con: sa.Connection, name: str, position: Position) -> None:
        self._con = con
        self._name = name
        self.position = position
        self.number = 0

    def begin(self) -> int:
        """Return the number to write under; what was begun before and not committed is lost from now on."""
        if not self.number:
            one = self.position
            losses = (*one.losses, (one.begun, time.time())) if one.begun > one.done else one.losses
            self.number = one.begun + 1
            self._set(begun=self.number, lost=json.dumps(losses))
            self.position = replace(one, begun=self.number, losses=losses)
        return self.number

    def commit(self, seq: int | None = None) -> None:
        """Let what was written under the number count, and `seq` be the newest event's; nothing begun, nothing done."""
        if self.number:
            newest = self.position.seq if seq is None else seq
            self._set(done=self.number, seq=newest)
            self.position = replace(self.position, done=self.number, seq=newest)
            self.number = 0

    def forget(self, lost: Collection[int]) -> None:
        """Lost numbers of which no row is left, and under which nobody can write any more, need not be kept."""
        losses = tuple(loss for loss in self.position.losses if loss[0] not in lost)
        self._set(lost=json.dumps(losses))
        self.position = replace(self.position, losses=losses)

    def _set(self, **values: object) -> None:
        mine = _positions.c.begun == (self.number if "done" in values else self.position.begun)
        with self._con.begin():
            changed = self._con.execute(
                _positions.update().where(_positions.c.name == self._name, mine).values(**values)
            )
        if not changed.rowcount:
            raise StoreUnavailableError(f"another process took the turn to {self._name}; nothing was stored, try again")


class Positions:
    """The positions of one shared store, in the control database that all its processes have."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.make(_positions)
        with database.write() as con:
            for name in (APPEND, CHANGE):
                con.execute(_start(name))
            # a store knows by this number whether these are its positions
            con.execute(_start(IDENTITY, secrets.randbits(62)))
            chosen = sa.select(_positions.c.done).where(_positions.c.name == IDENTITY)
            self.identity = str(con.execute(chosen).scalar_one())

    def standing(self) -> Standing:
        """Return both positions."""
        with self._database.read() as con:
            return _standing(con)

    @contextmanager
    def alone(self, name: str, patience: float = LONGEST) -> Iterator[None]:
        """Keep everybody else from what has this name, in whatever process, without writing anything.

        Raises StoreBusyError when somebody else has it for so many seconds.
        """
        with self._database.turn(name, patience):
            yield

    def forget(self, removed: Standing) -> None:
        """Keep no longer what was lost long ago, and of which all rows were removed that were lost by this standing.

        Raises StoreBusyError when somebody else has the turn.
        """
        before = time.time() - LATE
        for name, position in ((APPEND, removed.append), (CHANGE, removed.change)):
            old = {number for number, at in position.losses if at < before}
            if old:
                with self.turn(name, 0) as turn:
                    turn.forget(old)

    @contextmanager
    def turn(self, name: str, patience: float = LONGEST) -> Iterator[Turn]:
        """Wait for the turn to append or to change, and give it. Raises StoreBusyError when it does not come in time."""
        with self._database.turn(name, patience) as con:
            standing = _standing(con)
            con.rollback()
            yield Turn(con, name, standing.append if name == APPEND else standing.change)


def _start(name: str, done: int = 0) -> sa.TextClause:
    """Return what makes a row that is not there, also when another process does the same."""
    told = (
        "INSERT INTO positions (name, done, begun, seq, lost) VALUES (:name, :done, 0, 0, '[]') ON CONFLICT DO NOTHING"
    )
    return sa.text(told).bindparams(name=name, done=done)


def _standing(con: sa.Connection) -> Standing:
    columns = [_positions.c[name] for name in ("name", "done", "begun", "seq", "lost")]
    found = {
        name: Position(done, begun, seq, tuple((number, at) for number, at in json.loads(lost)))
        for name, done, begun, seq, lost in con.execute(sa.select(*columns))
    }
    return Standing(found[APPEND], found[CHANGE])
