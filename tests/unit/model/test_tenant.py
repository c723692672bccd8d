"""Tenants: accepted names and zones, and the start of the kept range."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from hubbub.errors import BadInputError
from hubbub.model.tenant import KEEP_EVERYTHING, Retention, Tenant, check_tenant_id, check_zone, kept_from
from hubbub.model.window import EPOCH, Grain


@pytest.mark.parametrize("text", ["a", "7", "acme", "acme-2", "a" * 63])
def test_plain_names_are_taken(text: str) -> None:
    """Lower-case letters, digits and inner hyphens, up to 63, are a tenant's name."""
    assert check_tenant_id(text) == text


@pytest.mark.parametrize("text", ["", "-a", "a-", "Acme", "a b", "a/b", "../a", "a" * 64, "a\n", "ä", "a_b"])
def test_other_names_are_refused(text: str) -> None:
    """Any other name, like a path, is refused."""
    with pytest.raises(BadInputError, match="tenant"):
        check_tenant_id(text)


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Australia/Lord_Howe"])
def test_iana_zones_are_taken(zone: str) -> None:
    """A zone of the IANA database is accepted."""
    assert check_zone(zone) == zone


@pytest.mark.parametrize(
    "zone",
    [
        "",
        "Mars/Olympus",
        "+02:00",
        "../../etc/passwd",
        "/etc/localtime",
        "a\0b",
        "localtime",
        "posixrules",
        "Factory",
        "right/UTC",
        "posix/UTC",
    ],
)
def test_other_zones_are_refused(zone: str) -> None:
    """Offsets, paths, unknown names and files that differ from machine to machine are refused."""
    with pytest.raises(BadInputError, match="IANA"):
        check_zone(zone)


@pytest.mark.parametrize("days", [0, -1, 36501])
@pytest.mark.parametrize("name", ["raw", "hour", "day", "week", "month"])
def test_retention_needs_a_sane_number_of_days(name: str, days: int) -> None:
    """Retention of less than a day or more than a century is refused."""
    with pytest.raises(BadInputError, match=name):
        Retention(**{name: days})


def test_retention_knows_every_stored_grain() -> None:
    """Each stored grain has its own number of days; keeping everything has none."""
    kept = Retention()
    assert {grain: kept.days(grain) for grain in Grain if grain is not Grain.TOTAL} == {
        Grain.HOUR: 30, Grain.DAY: 365, Grain.WEEK: 730, Grain.MONTH: 1095,
    }  # fmt: skip
    assert all(KEEP_EVERYTHING.days(grain) is None for grain in Grain if grain is not Grain.TOTAL)


def test_the_kept_range_begins_at_a_local_midnight() -> None:
    """Days are counted back in the tenant's zone, also over clock changes; without a limit the range begins in 1970."""
    tenant = Tenant(1, "acme", "America/New_York")
    now = datetime(2026, 3, 10, 3, tzinfo=UTC)  # still the 9th in New York
    assert kept_from(tenant, 2, now) == datetime(2026, 3, 7, 5, tzinfo=UTC)
    assert kept_from(tenant, None, now) == EPOCH


def test_a_tenant_knows_its_zone() -> None:
    """A tenant's zone is UTC by default."""
    assert Tenant(1, "a").tz.key == "UTC"
    assert Tenant(1, "a", "Asia/Kathmandu").tz.key == "Asia/Kathmandu"
