"""Checks of settings that need rooms above `settings.py`."""

from __future__ import annotations

from hubbub.outgoing.http import Outgoing
from hubbub.settings import Settings


def checked_settings(settings: Settings) -> Settings:
    """Return settings after checking schedules and hosts. Raises BadSettingError."""
    if settings.schedules:
        from hubbub.jobs.schedule import schedules

        schedules(settings.schedules)
    Outgoing(settings.allow_private_hosts)
    return settings
