"""The configuration of the systems that Hubbub replaces (`analytics:`), translated to names and units of Hubbub's settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hubbub.model.plain import JsonObject
from hubbub.model.spelling import snake

_SETTINGS = {
    "collection.enabled": "collection.enabled",
    "collection.batch_size": "collection.batch_size",
    "collection.flush_interval": "collection.flush_interval",
    "aggregation.enabled": "aggregation.enabled",
    "aggregation.timezone": "default_zone",
    "retention.raw_events": "retention.raw",
    "retention.hourly_aggregations": "retention.hour",
    "retention.daily_aggregations": "retention.day",
    "retention.weekly_aggregations": "retention.week",
    "retention.monthly_aggregations": "retention.month",
    "cache.enabled": "cache.enabled",
    "cache.ttl": "cache.dashboard",
    "reports.enabled": "reports.enabled",
    "reports.formats": "reports.formats",
    "reports.storage": "reports.folder",
}
_MILLISECONDS = {"collection.flush_interval", "cache.ttl"}


def translated(content: JsonObject) -> dict[str, Any]:
    """Return a configuration with the settings under `analytics` translated to Hubbub's.

    Raises ValueError for an unknown name there, or a setting given in both forms.
    """
    settings = dict(content)
    theirs = settings.pop("analytics", None) or {}
    if not isinstance(theirs, Mapping):
        raise ValueError(
            "analytics: must be a mapping of collection, aggregation, retention, cache and reports to their settings"
        )
    for name, value in _flat(theirs):
        if name not in _SETTINGS:
            known = sorted(known for known in _SETTINGS if known.startswith(name.partition(".")[0])) or sorted(
                _SETTINGS
            )
            raise ValueError(f"analytics.{name} is not known (known are {', '.join(known)})")
        if name in _MILLISECONDS:
            if not isinstance(value, int | float) or isinstance(value, bool):
                raise ValueError(f"analytics.{name}: {value!r} is not a number of milliseconds")
            value = value / 1000
        group, _, last = _SETTINGS[name].rpartition(".")
        place = settings
        if group:
            place = settings[group] = dict(settings.get(group) or {})
        if last in place:
            raise ValueError(f"analytics.{name} and {_SETTINGS[name]} are the same setting: give one of them")
        place[last] = value
    return settings


def _flat(groups: JsonObject) -> Iterator[tuple[str, Any]]:
    for group, values in groups.items():
        if not isinstance(values, Mapping):
            raise ValueError(f"analytics.{group}: must be a mapping")
        for name, value in values.items():
            yield f"{snake(str(group))}.{snake(str(name))}", value
