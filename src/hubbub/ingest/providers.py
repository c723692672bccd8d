"""Services that can be connected: whether Hubbub fetches from them or they send, and the settings and secrets of each."""

from __future__ import annotations

import secrets as random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hubbub.control.integrations import TOKEN
from hubbub.errors import BadInputError
from hubbub.ingest.connectors.base import Connector
from hubbub.ingest.connectors.catalogue import CONNECTORS
from hubbub.ingest.receivers.base import Receiver, Secret
from hubbub.ingest.receivers.catalogue import RECEIVERS
from hubbub.ingest.setting import LABELS, Setting, check_settings
from hubbub.model.plain import JsonObject

IDS = r"[^\s,]{1,200}"
RECEIVING = (
    Setting("staff_ids", "ids of your staff at the service", IDS, many=True),
    Setting("own_ids", "ids of your own accounts at the service", IDS, many=True),
    Setting("bot_ids", "ids of programs at the service that answer by themselves", IDS, many=True),
    Setting(
        "keep_text_days", "days to store message texts, encrypted; if absent, texts are not stored", r"[1-9]\d{0,3}"
    ),
    LABELS,
)
"""Settings of every service that sends."""


@dataclass(frozen=True, slots=True)
class Provider:
    """A service."""

    name: str
    connector: type[Connector] | None
    receiver: Receiver | None

    @property
    def title(self) -> str:
        """The name for people."""
        return self.receiver.setup.title if self.receiver is not None else self.name.replace("_", " ").capitalize()

    @property
    def settings(self) -> tuple[Setting, ...]:
        """All settings."""
        fetching = self.connector.settings if self.connector is not None else ()
        receiving = (*self.receiver.setup.settings, *RECEIVING) if self.receiver is not None else ()
        names = {setting.name for setting in fetching}
        return (*fetching, *(setting for setting in receiving if setting.name not in names))

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """All secrets: the token to fetch with, and those to verify with."""
        fetching = (Secret(TOKEN, self.connector.token),) if self.connector is not None else ()
        return (*fetching, *(self.receiver.setup.secrets if self.receiver is not None else ()))

    def fetches(self, names: tuple[str, ...]) -> bool:
        """Say whether days are fetched, given the names of the secrets."""
        return self.connector is not None and TOKEN in names

    def mends(self, names: tuple[str, ...]) -> bool:
        """Say whether lost deliveries can be fetched, given the names of the secrets."""
        return self.fetches(names) and self.connector is not None and "message" in self.connector.subjects

    def receives(self, names: tuple[str, ...]) -> bool:
        """Say whether deliveries can be verified, given the names of the secrets."""
        return self.receiver is not None and self.receiver.setup.receives(names)

    def listens(self, names: tuple[str, ...]) -> bool:
        """Say whether the service sends over a connection that Hubbub opens, given the names of the secrets."""
        return self.receiver is not None and self.receiver.setup.listens(names)

    def check_settings(self, values: JsonObject) -> dict[str, Any]:
        """Return the settings of a new integration. Raises BadInputError naming an unknown, missing or unusable one."""
        return check_settings(self.name, self.settings, values)

    def changed_settings(self, before: JsonObject, changes: JsonObject, names: tuple[str, ...]) -> dict[str, Any]:
        """Return the settings of an integration after a change; an empty value sets one back to its default.

        `names`: the names of its secrets. Raises BadInputError as `check_settings` does, and for a fixed setting.
        """
        after = self.check_settings({**before, **changes})
        for setting in self.settings:
            old = before.get(setting.name, setting.default)
            if setting.fixed and old is not None and after.get(setting.name, setting.default) != old:
                raise BadInputError(
                    f"settings.{setting.name}: it stays {old!r} ({setting.doc}); add another integration for another one"
                )
        self._check_needed(names, after)
        return after

    def check_names(self, secrets: Mapping[str, str]) -> None:
        """Raise BadInputError for a secret that the service does not have, and for a text that cannot be one."""
        names = [secret.name for secret in self.secrets]
        unknown = [name for name in secrets if name not in names]
        if unknown:
            raise BadInputError(
                f"secrets.{unknown[0][:80]}: {self.name} has no such secret; it knows {', '.join(names)}"
            )
        for secret in self.secrets:
            if secrets.get(secret.name) and not secret.usable(secrets[secret.name]):
                raise BadInputError(f"secrets.{secret.name}: it is not {secret.doc}; copy it again from the service")

    def check_secrets(self, secrets: Mapping[str, str], settings: JsonObject) -> tuple[dict[str, str], dict[str, str]]:
        """Return all secrets of a new integration, and the generated ones. Raises BadInputError.

        Nothing could arrive without the token and without all secrets for verifying, nor with a token but without the setting
        that fetching needs: both raise.
        """
        self.check_names(secrets)
        present = {name: secret for name, secret in secrets.items() if secret}
        generated: dict[str, str] = {}
        if self.receiver is not None:
            verifying = self.receiver.setup.verifying
            ours = {secret.name for secret in verifying if secret.ours}
            theirs = {secret.name for secret in verifying} - ours
            if theirs <= set(present) and (theirs or self.connector is None):
                generated = {name: random.token_hex(16) for name in ours - set(present)}
        names = (*present, *generated)
        self._check_needed(names, settings)
        if not self.fetches(names) and not self.receives(names) and not self.listens(names):
            needed = " or ".join(secret.name for secret in self.secrets if not secret.ours)
            raise BadInputError(f"secrets: {self.name} needs {needed}")
        return present | generated, generated

    def _check_needed(self, names: tuple[str, ...], settings: JsonObject) -> None:
        """Raise BadInputError where a setting is missing without which no day can be fetched with the token."""
        needs = self.connector.needs if self.connector is not None and self.fetches(names) else ""
        if needs and needs not in settings:
            raise BadInputError(f"settings.{needs}: {self.name} needs it to fetch days with the token")


PROVIDERS: dict[str, Provider] = {
    name: Provider(name, CONNECTORS.get(name), RECEIVERS.get(name)) for name in sorted({*CONNECTORS, *RECEIVERS})
}


def provider(name: str) -> Provider:
    """Return a service. Raises BadInputError with the known ones."""
    if name not in PROVIDERS:
        raise BadInputError(f"unknown provider {name[:80]!r}; known are {', '.join(PROVIDERS)}")
    return PROVIDERS[name]
