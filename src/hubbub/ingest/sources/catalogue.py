"""All importers, by their name on the command line, and the recognition of a path's content.

An importer is loaded on first use, because most commands need none.
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
    """An importer: its input in one line, and its location in this folder (`module:NAME`)."""

    reads: str
    place: str
    silence_days: int = 0
    """When an import of this kind creates a tenant: the days of silence that close a conversation; 0: none close."""

    def load(self) -> Importer:
        """Return the importer."""
        module, _, name = self.place.partition(":")
        importer: Importer = getattr(import_module(f"hubbub.ingest.sources.{module}"), name)
        return importer


IMPORTERS: dict[str, Kind] = {
    "slack": Kind("A Slack export, ZIP or folder", "slack:SLACK", silence_days=14),
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
    """Return the recognised content of a path: the importer's name -> a description. Empty if nothing is recognised."""
    contents = {name: kind.load().recognises(package) for name, kind in IMPORTERS.items()}
    return {name: content for name, content in contents.items() if content}


def importer_of(package: Package) -> tuple[str, str]:
    """Return the name of a path's only importer, and the description. Raises BadInputError if there is none, or several."""
    contents = recognised(package)
    if len(contents) == 1:
        return next(iter(contents.items()))
    if contents:
        commands = "; ".join(f"hubbub import {name} reads {content}" for name, content in contents.items())
        raise BadInputError(f"{package.path}: holds several kinds of files: {commands}. Choose one")
    raise BadInputError(
        f"{package.path}: unknown content: {package.described()}. Known kinds are {', '.join(IMPORTERS)}; for tables "
        "and other JSON write a mapping: hubbub import events FILE --map M.yaml"
    )
