"""The services that can be connected: which days are fetched from, which send by themselves, and what each needs to know."""

from __future__ import annotations

import secrets as random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hubbub.control.integrations import TOKEN
from hubbub.errors import BadInputError
from hubbub.ingest.connectors.base import LABELS, Connector, Setting, check_settings
from hubbub.ingest.connectors.catalogue import CONNECTORS
from hubbub.ingest.receivers.base import Receiver, Secret
from hubbub.ingest.receivers.catalogue import RECEIVERS

IDS = r"[^\s,]{1,200}"
RECEIVING = (
    Setting("staff_ids", "ids at the service of people who answer", IDS, many=True),
    Setting("own_ids", "ids at the service of accounts of your own", IDS, many=True),
    Setting("bot_ids", "ids at the service of programs that answer by themselves", IDS, many=True),
    Setting(
        "keep_text_days", "days that message texts are kept, encrypted; texts are not kept if absent", r"[1-9]\d{0,3}"
    ),
    LABELS,
)
"""Settings of every service that sends by itself."""


@dataclass(frozen=True, slots=True)
class Provider:
    """A service."""

    name: str
    connector: type[Connector] | None
    receiver: Receiver | None

    @property
    def title(self) -> str:
        """Its name for people."""
        return self.receiver.setup.title if self.receiver is not None else self.name.replace("_", " ").capitalize()

    @property
    def settings(self) -> tuple[Setting, ...]:
        """What can be set."""
        fetching = self.connector.settings if self.connector is not None else ()
        receiving = (*self.receiver.setup.settings, *RECEIVING) if self.receiver is not None else ()
        names = {one.name for one in fetching}
        return (*fetching, *(one for one in receiving if one.name not in names))

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The secrets that it can have: the token to fetch with, and those to verify with."""
        fetching = (
            (Secret(TOKEN, "token of the service's API, to fetch days with"),) if self.connector is not None else ()
        )
        return (*fetching, *(self.receiver.setup.secrets if self.receiver is not None else ()))

    def fetches(self, names: tuple[str, ...]) -> bool:
        """Say whether days are fetched with secrets of these names."""
        return self.connector is not None and TOKEN in names

    def mends(self, names: tuple[str, ...]) -> bool:
        """Say whether, with secrets of these names, what was sent and lost can be fetched: it is messages that are fetched."""
        return self.fetches(names) and self.connector is not None and "message" in self.connector.subjects

    def receives(self, names: tuple[str, ...]) -> bool:
        """Say whether what is sent can be verified with secrets of these names."""
        return self.receiver is not None and {one.name for one in self._verifying} <= set(names)

    def listens(self, names: tuple[str, ...]) -> bool:
        """Say whether with secrets of these names the service sends over a connection of ours."""
        return self.receiver is not None and any(one.opens and one.name in names for one in self.receiver.setup.secrets)

    @property
    def _verifying(self) -> tuple[Secret, ...]:
        secrets = self.receiver.setup.secrets if self.receiver is not None else ()
        return tuple(one for one in secrets if not one.opens)

    def check_settings(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings of a new integration. Raises BadInputError naming what is unknown, absent or unusable."""
        return check_settings(self.name, self.settings, given)

    def check_names(self, given: Mapping[str, str]) -> None:
        """Raise BadInputError for a secret that the service does not have, and where none is given."""
        known = [one.name for one in self.secrets]
        unknown = [name for name in given if name not in known]
        if unknown:
            raise BadInputError(
                f"secrets.{unknown[0][:80]}: {self.name} has no such secret; it knows {', '.join(known)}"
            )

    def check_secrets(self, given: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        """Return the secrets of a new integration, and which of them were made here. Raises BadInputError.

        With neither the token nor all that verifying takes nothing could ever come in.
        """
        self.check_names(given)
        found = {name: secret for name, secret in given.items() if secret}
        made: dict[str, str] = {}
        if self.receiver is not None:
            ours = {one.name for one in self._verifying if one.ours}
            theirs = {one.name for one in self._verifying} - ours
            if theirs <= set(found) and (theirs or self.connector is None):
                made = {name: random.token_hex(16) for name in ours - set(found)}
        whole = (*found, *made)
        if not self.fetches(whole) and not self.receives(whole) and not self.listens(whole):
            needed = " or ".join(one.name for one in self.secrets if not one.ours)
            raise BadInputError(f"secrets: {self.name} needs {needed}")
        return found | made, made


PROVIDERS: dict[str, Provider] = {
    name: Provider(name, CONNECTORS.get(name), RECEIVERS.get(name)) for name in sorted({*CONNECTORS, *RECEIVERS})
}


def provider(name: str) -> Provider:
    """Return a service. Raises BadInputError naming those that are known."""
    if name not in PROVIDERS:
        raise BadInputError(f"provider {name[:80]!r} is not known; known are {', '.join(PROVIDERS)}")
    return PROVIDERS[name]
