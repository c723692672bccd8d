"""`hubbub labels give`: a person's label of one message or conversation, and what is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubbub.app import open_engine
from tests.unit.cli.conftest import Run

GIVE = ("labels", "give", "topic")
RANGE = ("--tenant", "acme", "--from", "2026-08-01", "--to", "2026-08-02")


@pytest.fixture
def labelled(loaded: Run, tmp_path: Path) -> Run:
    """Run commands on a folder whose tenant acme has two topics; its source labelled the message m4."""
    place = {"time": "2026-08-01T11:00:00Z", "channel": "sms", "conversation_id": "k4"}
    with open_engine(tmp_path / "hubbub-data", free_floor_mb=0) as engine:
        engine.labels.replace("acme", {"topic": {"wifi": {"words": ["wifi"]}, "food": None}})
        sent = [
            {**place, "type": "message.received", "id": "m4"},
            {**place, "type": "topic.classified", "id": "t4", "message_id": "m4", "topic": "food"},
        ]
        engine.record("acme", sent, history=True)
        engine.add_tenant("other")
        engine.labels.replace("other", {"topic": {"wifi": None}})
    return loaded


@pytest.mark.parametrize("target", [("--message", "m1"), ("--conversation", "k")])
def test_a_label_is_given_once(labelled: Run, target: tuple[str, str]) -> None:
    """The label stands in lists at once, given by a person; the same again changes nothing."""
    words = (*GIVE, "wifi", *target, "--tenant", "acme", "--json")
    first, again = labelled(*words).told, labelled(*words).told
    assert (first["message"], first["label"], first["changed"]) == ("m1", "wifi", 1)
    assert (again["changed"], again["number"]) == (0, first["number"])
    rows = {row["conversation_id"]: row for row in labelled("conversations", "list", *RANGE, "--json").told["rows"]}
    assert [(label["label"], label["by"]) for label in rows["k"]["labels"]] == [("wifi", "person")]


@pytest.mark.parametrize(
    ("words", "tenant", "advice"),
    [
        (("wfi", "--message", "m1"), "acme", "wifi"),
        (("zzz", "--message", "m1"), "acme", "hubbub labels add topic"),
        (("wifi", "--message", "m9"), "acme", "message_id"),
        (("wifi", "--conversation", "k9"), "acme", "hubbub conversations list"),
        (("wifi",), "acme", "name a message or a conversation"),
        (("wifi", "--message", "m4"), "acme", "by a higher revision"),
        (("wifi", "--conversation", "k"), "other", "hubbub conversations list"),
    ],
)
def test_what_cannot_be_labelled_is_one_line(labelled: Run, words: tuple[str, ...], tenant: str, advice: str) -> None:
    """An unknown label, message or conversation, another tenant's, and a label of the source end with 1 and say what to do."""
    ended = labelled(*GIVE, *words, "--tenant", tenant)
    assert (ended.code, advice in " ".join(ended.err.split())) == (1, True), ended.err
