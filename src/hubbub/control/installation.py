"""The installation's id: it binds control data, the folder's events and the keys, and refuses others by name.

Tenants are numbers in the folder and names in the control database: with another control database a new tenant could get the
number, and so the events, of another one. So both hold the same id. Both also hold a mark, a time that is renewed now and then, by
which an older copy is recognized. The control database also holds digests of the keys.
"""

from __future__ import annotations

import hashlib
import hmac
import sqlite3
import uuid
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from hubbub.clock import Clock
from hubbub.control.control import tenants
from hubbub.control.database import Database, metadata
from hubbub.control.encryption import key_file
from hubbub.errors import NOT_NOW, StoreFullError, WrongInstallationError
from hubbub.facts.moments import micros
from hubbub.storage import schema
from hubbub.storage.store import FILE, Store
from hubbub.storage.transaction import Transaction

installation = sa.Table(
    "installation", metadata,
    sa.Column("one", sa.Integer, primary_key=True),
    sa.Column("id", sa.String(32), nullable=False),
    sa.Column("mark", sa.BigInteger, nullable=False),
    sa.Column("next_mark", sa.BigInteger, nullable=True),
    sa.Column("pepper", sa.String(64), nullable=False),
    sa.Column("secret", sa.String(64), nullable=False),
)  # fmt: skip
"""One row. `next_mark` is written before the folder's mark is renewed, so that a crash between the two is harmless."""

RENEWED = timedelta(hours=1)
KEYS = {"pepper": "API keys and erasures", "secret": "stored tokens and texts"}


@dataclass(frozen=True, slots=True)
class Side:
    """The folder or the control database: its installation's id (None: never bound), marks, highest tenant number."""

    id: str | None
    marks: tuple[int, ...]
    tenants: int


def digests(pepper: bytes, folder: Path, secret: str) -> dict[str, str]:
    """Return the digests of the keys: of the pepper (any bytes derived from it), and of the encryption key."""
    sealing = bytes.fromhex(secret) if secret else key_file(folder / "secret.key")
    return {
        name: hmac.new(key, f"hubbub installation {name}".encode(), hashlib.sha256).hexdigest()
        for name, key in (("pepper", pepper), ("secret", sealing))
    }


def bind(store: Store, database: Database, keys: Mapping[str, str], clock: Clock) -> str:
    """Check that folder, control database and keys belong together, and bind new ones; returns the installation's id.

    Raises WrongInstallationError.
    """
    database.make(tenants, installation)
    with database.read() as con, store.facts.read() as reading:
        control, folder = _control(con), _folder(reading, store)
    if control.id is None or control.id != folder.id or not set(control.marks) & set(folder.marks):
        # check again under a lock: the values above may have been read in the middle of a change
        with store.facts.write() as writing, database.write() as con:
            control, folder = _control(con), _folder(writing, store)
            _check(control, folder, store.folder)
            if control.id is None or control.id != folder.id:
                bound = control.id or folder.id or uuid.uuid4().hex
                _write(con, writing, Side(bound, (micros(clock()),), 0), keys)
    with database.read() as con:
        row = con.execute(sa.select(installation)).one()
        highest = highest_number(con)
    _check_keys(row, keys, store.folder)
    _check_numbers(highest, folder.tenants, store.folder)
    if clock() - datetime.fromtimestamp(row.mark / 1_000_000, UTC) > RENEWED:
        with suppress(*NOT_NOW, StoreFullError):
            renew(store, database, clock)
    return str(row.id)


def renew(store: Store, database: Database, clock: Clock) -> None:
    """Renew the mark of both sides, so that earlier copies are recognized as older."""
    mark = micros(clock())
    with store.facts.write() as writing:
        with database.write() as con:
            con.execute(installation.update().values(next_mark=mark))
        _set(writing, "mark", str(mark))
    with database.write() as con:
        con.execute(installation.update().where(installation.c.next_mark == mark).values(mark=mark, next_mark=None))


def align(folder: Path) -> None:
    """Set the same mark on both sides of a copied folder, since they were copied one after the other."""
    with closing(sqlite3.connect(folder / "control.db")) as control, control:
        (mark,) = control.execute("SELECT mark FROM installation").fetchone()
        control.execute("UPDATE installation SET next_mark = NULL")
    with closing(sqlite3.connect(folder / FILE)) as facts, facts:
        facts.execute("UPDATE meta SET value = ? WHERE key = 'mark'", (str(mark),))


def rebind(store: Store, database: Database, keys: Mapping[str, str], clock: Clock) -> str:
    """Bind folder, control database and keys under a new id, whatever they were bound to; returns the id.

    Tenant numbers of the folder that the control database does not know are never used again.
    """
    database.make(tenants, installation)
    with store.facts.write() as writing, database.write() as con:
        highest = max(_control(con).tenants, _folder(writing, store).tenants)
        con.execute(installation.delete())
        bound = Side(uuid.uuid4().hex, (micros(clock()),), highest)
        _write(con, writing, bound, keys)
        reserve(con, highest)
        return str(bound.id)


def reserve(con: sa.Connection, number: int) -> None:
    """Never give a tenant a number up to this one."""
    if number < 1:
        return
    if con.dialect.name == "sqlite":
        raise_number = sa.text("UPDATE sqlite_sequence SET seq = max(seq, :n) WHERE name = 'tenants'")
        if not con.execute(raise_number, {"n": number}).rowcount:
            con.execute(sa.text("INSERT INTO sqlite_sequence (name, seq) VALUES ('tenants', :n)"), {"n": number})
    else:
        con.execute(
            sa.text(
                "SELECT setval(pg_get_serial_sequence('tenants', 'no'), "
                "greatest(:n, (SELECT last_value FROM tenants_no_seq)))"
            ),
            {"n": number},
        )


def _control(con: sa.Connection) -> Side:
    row = con.execute(sa.select(installation)).first()
    if row is None:
        return Side(None, (), highest_number(con))
    return Side(row.id, (row.mark, *(() if row.next_mark is None else (row.next_mark,))), highest_number(con))


def highest_number(con: sa.Connection) -> int:
    """Return the highest number ever given to a tenant."""
    if con.dialect.name == "sqlite":
        counter = con.execute(sa.text("SELECT seq FROM sqlite_sequence WHERE name = 'tenants'")).scalar()
    else:
        counter = con.execute(
            sa.text("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM tenants_no_seq")
        ).scalar()
    highest = con.execute(sa.select(sa.func.max(tenants.c.no))).scalar()
    return max(counter or 0, highest or 0)


def _folder(reading: Transaction, store: Store) -> Side:
    meta = dict(reading.rows("SELECT key, value FROM meta WHERE key IN ('installation', 'mark')"))
    stored = [
        reading.value(f"SELECT max(tenant) FROM {table}") or 0 for table in ("event", "episode", "quarantine", "kept")
    ]
    marks = (int(meta["mark"]),) if "mark" in meta else ()
    return Side(meta.get("installation"), marks, max(store.log.highest_tenant(), *stored))


def _write(con: sa.Connection, writing: Transaction, bound: Side, keys: Mapping[str, str]) -> None:
    (mark,) = bound.marks
    con.execute(installation.delete())
    con.execute(installation.insert().values(one=1, id=bound.id, mark=mark, **keys))
    _set(writing, "installation", str(bound.id))
    _set(writing, "mark", str(mark))


def _set(writing: Transaction, key: str, value: str) -> None:
    writing.run(schema.upsert("meta"), (key, value))


def _check(control: Side, folder: Side, path: Path) -> None:
    if control.id is None and folder.id is not None and folder.tenants:
        raise WrongInstallationError(
            f"{path} holds events, and the control database has no record of them: set control_url to the one it had, or "
            "restore control.db from a backup, before anything else"
        )
    if folder.id is None and control.id is not None and control.tenants:
        raise WrongInstallationError(
            f"the control database belongs to another folder than {path}, which is empty: set 'data' to the folder it had, or "
            "restore that from a backup"
        )
    if control.id is None or folder.id is None:
        return
    if control.id != folder.id and control.tenants + folder.tenants:
        raise WrongInstallationError(
            f"{path} is of installation {folder.id[:8]}, the control database of {control.id[:8]}: set control_url or 'data' "
            "so that both are of one installation"
        )
    if control.id == folder.id and not set(control.marks) & set(folder.marks):
        older = "the control database" if max(control.marks, default=0) < max(folder.marks, default=0) else f"{path}"
        raise WrongInstallationError(
            f"{older} is an older copy than its counterpart: restore both from one backup, or, if that is lost, see "
            "'hubbub rebind --help'"
        )


def _check_keys(row: sa.Row[tuple[object, ...]], keys: Mapping[str, str], path: Path) -> None:
    for name, guarded in KEYS.items():
        if getattr(row, name) != keys[name]:
            file = "pepper" if name == "pepper" else "secret.key"
            raise WrongInstallationError(
                f"{path / file}, or the setting secret_key, is not the key of this installation's {guarded}: restore "
                "the former one, or, if that is lost, see 'hubbub rebind --help'"
            )


def _check_numbers(control: int, folder: int, path: Path) -> None:
    if folder > control:
        raise WrongInstallationError(
            f"{path} holds events of tenant number {folder}, the control database knows {control} tenants: it is an older copy; "
            "restore both from one backup, or, if that is lost, see 'hubbub rebind --help'"
        )
