"""Settings that can work: what only the rooms above `settings.py` can tell is looked at too."""

from __future__ import annotations

from hubbub.outgoing.http import Outgoing
from hubbub.settings import Settings


def checked(settings: Settings) -> Settings:
    """Return settings whose schedules and hosts can work, too. Raises BadSettingError."""
    if settings.schedules:
        from hubbub.jobs.schedule import schedules

        schedules(settings.schedules)
    Outgoing(settings.allow_private_hosts)
    return settings
