"""Wording of a kind of tenant: one table, whole words alone, and no text of the common kind changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.metrics.catalogue import METRICS, STATISTICS, names, title_of
from hubbub.metrics.wording import COMMON, SLACK, WORDINGS, kind_of
from hubbub.news.candidates import CANDIDATES, in_words


@given(st.text())
def test_the_common_kind_changes_no_text(text: str) -> None:
    """The common kind has no words of its own and leaves every text and title unchanged."""
    assert WORDINGS[COMMON].text(text) == text
    assert all(WORDINGS[COMMON].title(name) == title_of(name) for name in METRICS if name in names())


@pytest.mark.parametrize(
    ("text", "slack"),
    [
        ("New conversations rose to {value}", "New threads rose to {value}"),
        ("Conversations and rooms", "Threads and channels"),
        (
            "1 in 10 waited longer than {value} for a first response",
            "1 in 10 waited longer than {value} for a first reply",
        ),
        ("The slowest first responses", "The slowest first replies"),
        ("First response by staff", "First reply by replier"),
        ("Staff", "Replier"),
        ("Staff online", "Repliers online"),
        ("ratings of each staff member", "ratings of each replier"),
        ("bathrooms, conversational", "bathrooms, conversational"),
    ],
)
def test_whole_words_change_and_keep_their_capital(text: str, slack: str) -> None:
    """Words inside other words stay, and the longest matching phrase is replaced."""
    assert WORDINGS[SLACK].text(text) == slack


def test_titles_name_existing_metrics() -> None:
    """Every title of the table names an existing metric, with its statistic if it has one."""
    for wording in WORDINGS.values():
        assert set(wording.titles) <= set(names())
        assert all(name.partition(".")[2] in ("", *STATISTICS) for name in wording.titles)


def test_news_of_slack_hold_no_replaced_word() -> None:
    """No sentence of Slack's news has a word that the table replaces, and placeholders for values stay."""
    for candidate in CANDIDATES:
        own = in_words(candidate, WORDINGS[SLACK])
        texts = (own.name, own.up, own.down, own.things, own.burst)
        assert not any(word in text.lower() for text in texts for word in ("conversation", "contact", "room"))
        assert all(mine.count("{") == theirs.count("{") for mine, theirs in zip(texts, (
            candidate.name, candidate.up, candidate.down, candidate.things, candidate.burst,
        ), strict=True))  # fmt: skip


@pytest.mark.parametrize(
    ("channels", "kind"), [(["slack"], SLACK), (["slack", "email"], COMMON), ([], COMMON), ([None], COMMON)]
)
def test_slack_alone_is_slack(channels: list[str | None], kind: str) -> None:
    """A tenant with another channel besides Slack keeps the common words."""
    assert kind_of(channels) == kind
