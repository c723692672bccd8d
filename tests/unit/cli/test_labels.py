"""`hubbub labels give`: a person's label of a message or a conversation; refusals are one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.app import open_engine
from hubbub.cli.label_cells import are_labels, in_short
from hubbub.model.label import GivenLabel, Labeller, LabelSet
from hubbub.model.plain import plain
from tests.unit.cli.conftest import Run

GIVE = ("labels", "give", "topic")
RANGE = ("--tenant", "acme", "--from", "2026-08-01", "--to", "2026-08-02")


@pytest.fixture
def labelled(loaded: Run, tmp_path: Path) -> Run:
    """Run commands in a folder whose tenant acme has two topics; its source labelled the message m4."""
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
    """A label given by a person is in lists at once; giving it again changes nothing."""
    words = (*GIVE, "wifi", *target, "--tenant", "acme", "--json")
    first, again = labelled(*words).told, labelled(*words).told
    assert (first["message"], first["label"], first["changed"]) == ("m1", "wifi", 1)
    assert (again["changed"], again["number"]) == (0, first["number"])
    rows = {row["conversation_id"]: row for row in labelled("conversations", "list", *RANGE, "--json").told["rows"]}
    assert [(label["label"], label["by"]) for label in rows["k"]["labels"]] == [("wifi", "person")]


def test_tables_have_labels_in_short(labelled: Run) -> None:
    """Cells of tables have set, label and labeller in short, without versions."""
    labelled(*GIVE, "wifi", "--message", "m1", "--tenant", "acme")
    table = labelled("conversations", "list", *RANGE).out
    assert "topic wifi (command line)" in table and "topic food (api)" in table and "version" not in table


def test_training_prints_the_command_to_use_a_classifier(labelled: Run, tmp_path: Path) -> None:
    """The first classifier is used at once; for the next, which no example compares, the command to use it is printed."""
    pytest.importorskip("wordllama")
    examples = [
        f"the {thing} number {n} is slow,{label}"
        for n in range(8)
        for thing, label in (("wifi", "wifi"), ("egg", "food"))
    ]
    (tmp_path / "said.csv").write_text("\n".join(["text,label", *examples]))
    first = labelled("labels", "train", "topic", "--tenant", "acme", "--examples", tmp_path / "said.csv")
    assert "Next: hubbub labels run --tenant acme" in " ".join(first.err.split())
    again = labelled("labels", "train", "topic", "--tenant", "acme")
    assert "hubbub labels switch topic --to 2 --tenant acme" in " ".join(again.err.split())


@given(
    st.builds(
        GivenLabel,
        st.sampled_from(LabelSet),
        st.text(min_size=1),
        st.sampled_from(Labeller),
        st.none() | st.text(),
        st.none() | st.integers(0),
        st.none() | st.floats(0, 1),
    )
)
def test_a_short_label_names_set_and_label(label: GivenLabel) -> None:
    """A label's short form has its set and name, the version of rules, and the number of a classifier."""
    cell = [plain(label)]
    assert are_labels(cell)
    short = in_short(cell)
    assert short.startswith(f"{label.set.value} {label.label} (")
    if label.by is Labeller.RULES and label.version is not None:
        assert (f"(rules v{label.version}" if label.version else "(starter rules") in short
    if label.by is Labeller.CLASSIFIER and label.who is not None:
        assert f"(classifier {label.who}" in short


@pytest.mark.parametrize(
    ("words", "tenant", "advice"),
    [
        (("wfi", "--message", "m1"), "acme", "wifi"),
        (("zzz", "--message", "m1"), "acme", "hubbub labels add topic"),
        (("wifi", "--message", "m9"), "acme", "message_id"),
        (("wifi", "--conversation", "k9"), "acme", "hubbub conversations list"),
        (("wifi",), "acme", "name either a message or a conversation"),
        (("wifi", "--message", "m4"), "acme", "by a higher revision"),
        (("wifi", "--conversation", "k"), "other", "hubbub conversations list"),
    ],
)
def test_an_invalid_label_or_target_is_one_line(
    labelled: Run, words: tuple[str, ...], tenant: str, advice: str
) -> None:
    """An unknown label, message or conversation, another tenant's, and a label of the source end with 1 and advice."""
    ended = labelled(*GIVE, *words, "--tenant", tenant)
    assert (ended.code, advice in " ".join(ended.err.split())) == (1, True), ended.err
