"""Tones that hotspots count are compared as those of events are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import hubbub


@pytest.mark.parametrize(
    ("setting", "sent", "ratio"), [("Ärger", "Ärger", 1.0), ("ANGRY", "angry", 1.0), ("angry", "Angry", 1.0), ("a", "b", 0.0)]
)  # fmt: skip
def test_a_tone_counts_as_it_is_written(tmp_path: Path, setting: str, sent: str, ratio: float) -> None:
    """Tones match in any case of A to Z; other letters match exactly."""
    with hubbub.open(tmp_path) as engine:
        engine.add_tenant("acme")
        engine.tenants.change("acme", hotspot_tones=[setting])
        said = {"type": "topic.classified", "topic": "billing", "sentiment": sent, "time": "2026-08-20T12:00:00Z"}
        engine.record("acme", said, history=True)
        asked: dict[str, Any] = {"metrics": ["hotspot_ratio"], "start": "2026-08-20", "end": "2026-08-21"}
        assert engine.query("acme", **asked)["rows"][0]["hotspot_ratio"] == ratio
