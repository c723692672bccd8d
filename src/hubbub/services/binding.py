"""Binding data folder, control database and keys to each other: when an installation is opened, and again by command."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from hubbub.clock import Clock, system_clock
from hubbub.control import installation
from hubbub.control.control import Control
from hubbub.control.database import Database
from hubbub.errors import NotFoundError
from hubbub.settings import Settings
from hubbub.storage.store import FILE, Store


@dataclass(frozen=True, slots=True)
class BoundTenant:
    """A number of a tenant: its id where control data has it, and whether the folder has events of it."""

    number: int
    tenant: str | None
    has_events: bool


@dataclass(frozen=True, slots=True)
class Bound:
    """The id of an installation, whether it was bound again, and its tenants."""

    installation: str | None
    bound: bool
    tenants: Sequence[BoundTenant]


def bind(settings: Settings, store: Store, control: Control, clock: Clock) -> None:
    """Check that folder, control database and keys belong together; new ones are bound. Raises WrongInstallationError."""
    installation.bind(store, control.database, _keys(settings, control), clock)


def bind_again(settings: Settings, *, really: bool) -> Bound:
    """Bind folder, control database and keys to each other; without `really` only return what they are. Raises NotFoundError."""
    folder = settings.data
    if not settings.facts_address and not (folder / FILE).is_file():
        raise NotFoundError(f"{folder} has no store: there is nothing to bind")
    secret = settings.secret_key.get_secret_value()
    with (
        closing(Store(folder, settings.facts_address, settings.copy_address)) as store,
        closing(Database(settings.control_address)) as database,
    ):
        control = Control(database, folder, secret)
        with store.facts.read() as reading:
            numbers = [no for (no,) in reading.rows("SELECT DISTINCT tenant FROM event")]
        ids = {tenant.no: tenant.id for tenant in control.tenants().values()}
        if really:
            installation.rebind(store, database, _keys(settings, control), system_clock)
        bound_tenants = [BoundTenant(no, ids.get(no), no in numbers) for no in sorted({*numbers, *ids})]
        return Bound(store.installation(), really, bound_tenants)


def _keys(settings: Settings, control: Control) -> dict[str, str]:
    secret = settings.secret_key.get_secret_value()
    return installation.digests(control.derived("installation"), settings.data, secret)
