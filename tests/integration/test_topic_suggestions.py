"""Suggested topics from a PostgreSQL store are those from a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hubbub.app import Engine
from hubbub.settings import load
from tests.conftest import empty_database
from tests.unit.services.test_topic_suggestions import NOW, said

pytest.importorskip("wordllama")


def suggested(folder: Path, **place: str) -> list[tuple[Any, ...]]:
    """Suggest topics from messages of two themes, half of their conversations resolved; return them with their figures."""
    rows = [*said("wifi", 24), *said("parking", 24)]
    resolved = [
        {"type": "conversation.resolved", "time": "2026-08-19T03:00:00Z", "id": f"r{n}", "conversation_id": row["conversation_id"]}
        for n, row in enumerate(rows) if n % 2
    ]  # fmt: skip
    with Engine(load(data=folder, free_floor_mb=0, **place), NOW) as engine:
        engine.add_tenant("acme")
        engine.record("acme", [*rows, *resolved])
        engine.labels.suggestions.run("acme")
        return [
            (row.number, row.words, row.rule, row.messages, row.people, row.unresolved, row.handling_ms, row.opportunity_ms)
            for row in engine.labels.suggestions.of("acme").rows
        ]  # fmt: skip


def test_topics_are_the_same_as_from_a_folder(postgres: Any, tmp_path: Path) -> None:
    """Number, words, rule, counts, unresolved share, handling time and opportunity of each topic are the same."""
    topics = suggested(tmp_path / "folder")
    assert len(topics) == 2 and all(topic[5] == 0.5 and topic[6] for topic in topics)
    assert suggested(tmp_path / "beside", store_url=empty_database(postgres)) == topics
