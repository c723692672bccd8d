"""Changes: contributions add up exactly to a difference, for every metric that is made of parts."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.errors import BadQuestionError
from hubbub.metrics.catalogue import METRICS, dimensions_of, find
from hubbub.metrics.definition import Count, Quantiles, Ratio, Stored, Sum
from hubbub.model.question import Question
from hubbub.query.changes import USUAL, Others, Part, _of_mean, changes
from hubbub.query.result import Cell
from tests.laws.conftest import Lab
from tests.laws.strategies import World, worlds
from tests.laws.test_laws import examples

PARTS = [
    f"{name}.avg" if isinstance(metric, Quantiles) else name
    for name, (metric, rollup) in METRICS.items()
    if isinstance(metric, Quantiles | Ratio)
    or (isinstance(metric, Stored) and isinstance(rollup.measures[metric.measure], Count | Sum))
]


@examples(0.6)
@given(world=worlds(most=60), data=st.data())
def test_contributions_add_up_to_the_difference(lab: Lab, world: World, data: st.DataObject) -> None:
    """Per dimension, a part's contribution is its volume plus its rate, and all contributions add up to the difference."""
    lab.empty()
    tenant = lab.tenant(world.zone)
    lab.send(tenant, world.everything)
    middle = world.start + timedelta(days=data.draw(st.integers(1, 4)))
    for name in data.draw(st.lists(st.sampled_from(PARTS), min_size=6, max_size=6, unique=True)):
        _, rollup = METRICS[name.partition(".")[0]]
        question = Question((name,), middle, middle + timedelta(days=4))
        found = changes(lab.queries, tenant, question, limit=data.draw(st.integers(1, 4)))
        assert set(found.dimensions) == {d for d in USUAL if d in dimensions_of(rollup)}
        (before,), (after,) = (
            [r.cells[name].value for r in lab.ask(tenant, [name], start, start + timedelta(days=4)).rows]
            for start in (middle - timedelta(days=4), middle)
        )
        assert (found.before, found.after) == (before, after)
        for dimension in found.dimensions.values():
            parts: list[Part | Others] = [*dimension.rows, *([dimension.others] if dimension.others else [])]
            assert all(math.isclose(p.volume + p.rate, p.contribution, abs_tol=1e-9) for p in parts)
            assert (found.difference is None) == (None in (before, after))
            if found.difference is None:
                assert parts == []
                continue
            assert dimension.unexplained == 0, (name, found)  # these metrics' parts never overlap
            whole = sum(p.contribution for p in parts)
            assert math.isclose(whole, found.difference, rel_tol=1e-9, abs_tol=1e-6)


@pytest.mark.parametrize("name", ["response_ms.p50", "campaign_score", "oldest_waiting_ms", "observed_max"])
def test_percentiles_scores_and_extremes_are_refused(lab: Lab, name: str) -> None:
    """Percentiles, scores and extremes are refused, since they are no sums or means of parts; the error says what to ask for."""
    lab.empty()
    tenant = lab.tenant()
    question = Question((name,), lab.now - timedelta(days=2), lab.now)
    with pytest.raises(BadQuestionError, match="ask for"):
        changes(lab.queries, tenant, question)


def test_a_worse_mix_is_volume_and_a_slower_channel_is_rate() -> None:
    """Two channels as quick as before, one of which grew, are all volume; the same mix with one slower channel is all rate."""
    one = find("response_ms.avg")

    def cell(total: int, count: int) -> Cell:
        return Cell(total / count, total, count, count)

    fast, slow = cell(10_000, 100), cell(90_000, 100)
    grown = _of_mean(
        one,
        {"sms": fast, "mail": cell(270_000, 300)},
        {"sms": fast, "mail": slow},
        cell(280_000, 400),
        cell(100_000, 200),
    )
    assert sum(p.volume for p in grown) == 200
    assert [p.rate for p in grown] == [0, 0]
    slower = _of_mean(
        one,
        {"sms": fast, "mail": cell(180_000, 100)},
        {"sms": fast, "mail": slow},
        cell(190_000, 200),
        cell(100_000, 200),
    )
    assert [(p.value, p.rate, p.volume) for p in slower] == [("sms", 0, 0), ("mail", 450, 0)]
