"""Hours that AI saved: exact products of the stated minutes, without binary fractions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hubbub.metrics.catalogue import METRICS
from hubbub.metrics.definition import Stored
from hubbub.model.calendar import NO_CALENDAR
from hubbub.model.tenant import KEEP_EVERYTHING, Tenant

TENANT = Tenant(1, "acme", "UTC", "", KEEP_EVERYTHING, NO_CALENDAR)


@pytest.mark.parametrize(
    ("minutes", "episodes", "hours"), [(6.0, 142, 14.2), (6.0, 101, 10.1), (6.5, 3, 0.325), (0.1, 6, 0.01)]
)
def test_hours_saved_are_replies_times_the_stated_minutes(minutes: float, episodes: int, hours: float) -> None:
    """142 times 6 minutes are 14.2 hours to the last digit; without stated minutes there is no factor."""
    metric, _ = METRICS["ai_hours_saved"]
    assert isinstance(metric, Stored) and metric.times is not None
    factor = metric.times(replace(TENANT, ai_minutes_saved=minutes))
    assert factor is not None and float(episodes * factor) == hours
    assert metric.times(TENANT) is None
