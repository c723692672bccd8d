"""Settings of integrations are checked before anything is stored."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from hubbub.errors import BadInputError
from hubbub.ingest.connectors.catalogue import CONNECTORS, connector
from hubbub.model.coverage import Day


def test_settings_are_read_and_lists_may_be_written_with_commas() -> None:
    """Declared settings are accepted, an empty value counts as absent, and a list may be a list or comma-separated text."""
    page = connector("facebook_page")
    assert page.check({"page_id": "12", "zone": ""}) == {"page_id": "12"}
    assert page.check({"page_id": "12", "metrics": "a, b"})["metrics"] == ["a", "b"]
    assert connector("slack").check({"channels": ["#general", "C01"]}) == {"channels": ["#general", "C01"]}


@pytest.mark.parametrize(
    ("provider", "given", "named"),
    [
        ("facebook_page", {}, "page_id"), ("facebook_page", {"page_id": "me"}, "page_id"),
        ("facebook_page", {"page_id": 12}, "page_id"),
        ("facebook_page", {"page_id": "1/../2"}, "page_id"), ("facebook_page", {"page_id": "1", "page": "2"}, "page"),
        ("facebook_page", {"page_id": "1", "metrics": ["a b"]}, "metrics"), ("slack", {"channels": {"a": 1}}, "channels"),
        ("facebook_page", {"page_id": "1", "zone": "Mars/Base"}, "zone"), ("slack", {"base_url": "ftp://x"}, "base_url"),
        ("slack", {"base_url": "https://u:p@x/"}, "base_url"), ("slack", {"channels": ["x"] * 1001}, "channels"),
        ("slack", {"workspace_id": "x"}, "workspace_id"), ("myspace", {}, "facebook_page, slack"),
    ],
)  # fmt: skip
def test_unusable_settings_are_refused_by_name(provider: str, given: dict[str, Any], named: str) -> None:
    """An unknown provider or setting, a missing setting and an unusable value are refused by name."""
    with pytest.raises(BadInputError, match=named):
        connector(provider).check(given)


def test_every_connector_documents_its_settings() -> None:
    """Every connector has a docstring, its own provider, and documented settings whose defaults pass their check."""
    for name, kind in CONNECTORS.items():
        assert kind.provider == name and kind.__doc__
        for setting in kind.settings:
            assert len(setting.doc) > 5
            assert setting.default is None or setting.read(setting.default) == setting.default


def test_days_are_cut_in_their_zone() -> None:
    """A day runs from local midnight to local midnight, also when clocks change."""
    day = Day.of(date(2026, 11, 1), "America/New_York")
    assert (day.start, day.end) == (datetime(2026, 11, 1, 4, tzinfo=UTC), datetime(2026, 11, 2, 5, tzinfo=UTC))
