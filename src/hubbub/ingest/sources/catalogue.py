"""The importers there are, by the word that names each on the command line, and what a path holds.

An importer is loaded when it is asked for: most commands need none.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from hubbub.errors import BadInputError

if TYPE_CHECKING:
    from hubbub.ingest.sources.importer import Importer
    from hubbub.ingest.sources.package import Package


@dataclass(frozen=True, slots=True)
class Kind:
    """An importer: what it reads, said in a line, and where it stands in this folder (`module:NAME`)."""

    reads: str
    place: str

    def load(self) -> Importer:
        """Return the importer."""
        module, _, name = self.place.partition(":")
        found: Importer = getattr(import_module(f"hubbub.ingest.sources.{module}"), name)
        return found


IMPORTERS: dict[str, Kind] = {
    "slack": Kind("A Slack export, ZIP or folder", "slack:SLACK"),
    "whatsapp": Kind("WhatsApp's 'Export chat', text or ZIP", "whatsapp:WHATSAPP"),
    "signal": Kind("A Signal chat as text", "whatsapp:SIGNAL"),
    "telegram": Kind("Telegram's result.json, of one chat or of all", "telegram:TELEGRAM"),
    "discord": Kind("Discord channels, as DiscordChatExporter writes them in JSON", "discord:DISCORD"),
    "messenger": Kind("Messenger's download, in JSON", "messenger:MESSENGER"),
    "instagram": Kind("Instagram's download, in JSON", "messenger:INSTAGRAM"),
    "mattermost": Kind("A Mattermost bulk export, JSON lines or ZIP", "mattermost:MATTERMOST"),
    "teams": Kind("Teams messages in JSON, of Microsoft Graph or the personal export", "teams:TEAMS"),
    "mail": Kind("Mail: mbox, Maildir, .eml, archives of lists", "mail:MAIL"),
    "events": Kind("Files of events", "files:EVENTS"),
}


def recognised(package: Package) -> dict[str, str]:
    """Return what of which kind a path holds: the importer's word -> what it saw. Empty: nothing that is known."""
    seen = {name: kind.load().recognises(package) for name, kind in IMPORTERS.items()}
    return {name: what for name, what in seen.items() if what}


def importer_of(package: Package) -> tuple[str, str]:
    """Return word and sight of the one importer that a path is for. Raises BadInputError naming what was seen otherwise."""
    seen = recognised(package)
    if len(seen) == 1:
        return next(iter(seen.items()))
    if seen:
        ways = "; ".join(f"hubbub import {name} reads {what}" for name, what in seen.items())
        raise BadInputError(f"{package.path}: holds several kinds: {ways}. Say which")
    raise BadInputError(
        f"{package.path}: what this is is not known: {package.described()}. Known are {', '.join(IMPORTERS)}; for tables "
        "and other JSON write a mapping: hubbub import events FILE --map M.yaml"
    )
