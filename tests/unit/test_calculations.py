"""The ten calculations give the numbers of the metric reference, and keep their laws for any counts."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub import calculations as calc

RATES = [
    calc.delivery_rate, calc.read_rate, calc.engagement_rate, calc.reply_rate, calc.failure_rate, calc.conversion_rate,
]  # fmt: skip
Rate = Callable[[int, int], float | None]
NUMBERS = st.floats(-1e150, 1e150)
PARTS_OF = st.integers(0, 10**9).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
DAY = date(2026, 8, 1)
DEEDS = st.dictionaries(
    st.tuples(st.sampled_from(sorted(calc.DEED_WEIGHTS)), st.dates(DAY - timedelta(400), DAY)), st.integers(0, 20)
)


def score(
    attempted: int = 1000,
    delivered: int | None = 950,
    read: int | None = 570,
    recipients: int | None = 900,
    engaged: int | None = 135,
    converted: int | None = 27,
    blocked: int = 0,
    opted_out: int = 0,
) -> calc.CampaignScore:
    """Score a campaign that meets every target exactly, except for the given values."""
    return calc.campaign_score(
        attempted=attempted, delivered=delivered, read=read, recipients=recipients, engaged=engaged,
        converted=converted, blocked=blocked, opted_out=opted_out,
    )  # fmt: skip


@pytest.mark.parametrize("rate", RATES)
def test_rate_with_denominator_0_is_none(rate: Rate) -> None:
    """A denominator of 0 gives None, never 0."""
    assert rate(0, 0) is None


@pytest.mark.parametrize("rate", RATES)
@given(pair=PARTS_OF)
def test_rate_is_a_share(rate: Rate, pair: tuple[int, int]) -> None:
    """Every rate of sane counts is the plain quotient and lies in 0..1."""
    value = rate(*pair)
    assert value is None if pair[1] == 0 else value == pair[0] / pair[1] and 0 <= value <= 1


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("pair", [(2, 1), (-1, 1), (1, -1), (1, 0)])
def test_rate_refuses_contradictions(rate: Rate, pair: tuple[int, int]) -> None:
    """A part greater than the whole, or negative, is an error."""
    with pytest.raises(ValueError, match=rate.__name__):
        rate(*pair)


def test_average_response_time_is_the_mean() -> None:
    """Four responses of 90 s in sum have a mean of 22.5 s; without responses it is None."""
    assert calc.average_response_time(90_000, 4) == 22_500
    assert calc.average_response_time(0, 0) is None


@pytest.mark.parametrize("pair", [(-1, 1), (1, -1), (5, 0)])
def test_average_response_time_refuses_contradictions(pair: tuple[int, int]) -> None:
    """Negative sums and waiting without a response are errors."""
    with pytest.raises(ValueError, match="average_response_time"):
        calc.average_response_time(*pair)


@pytest.mark.parametrize(
    ("current", "previous", "expected"),
    [
        (125, 100, calc.Change(25, 0.25, "up")),
        (75, 100, calc.Change(-25, -0.25, "down")),
        (100, 100, calc.Change(0, 0.0, "flat")),
        (0, 0, calc.Change(0, 0.0, "flat")),
        (7, 0, calc.Change(7, None, "new")),
        (-7, 0, calc.Change(-7, None, "down")),
        (0, 7, calc.Change(-7, -1.0, "down")),
        (-50, -100, calc.Change(50, 0.5, "up")),
        (None, 7, calc.Change(None, None, "n/a")),
        (7, None, calc.Change(None, None, "n/a")),
        (None, None, calc.Change(None, None, "n/a")),
    ],
)
def test_growth_rate_matches_its_examples(current: float | None, previous: float | None, expected: calc.Change) -> None:
    """Growth follows the comparison rules: from 0 is new, with missing data n/a, and negative scores compare by sign."""
    assert calc.growth_rate(current, previous) == expected


def test_shares_change_in_points() -> None:
    """A share that goes from 0 to 5 % is up 5 points, and has no relative change."""
    assert calc.change(0.05, 0.0, unit_is_share=True) == calc.Change(0.05, None, "up")
    assert calc.change(0.0, 0.0, unit_is_share=True) == calc.Change(0.0, None, "flat")


@given(current=NUMBERS, previous=NUMBERS, share=st.booleans())
def test_change_swaps_its_sign(current: float, previous: float, share: bool) -> None:
    """Swapping both periods negates the absolute change and its direction."""
    there, back = calc.change(current, previous, share), calc.change(previous, current, share)
    assert there.absolute == -(back.absolute or 0.0)
    turned = {"up": "down", "new": "down", "down": "up", "flat": "flat"}
    assert turned[there.label] == {"new": "up"}.get(back.label, back.label)


@given(current=NUMBERS, previous=NUMBERS)
def test_change_is_never_nan(current: float, previous: float) -> None:
    """No comparison of finite numbers gives NaN or infinity."""
    found = calc.change(current, previous, unit_is_share=False)
    assert found.absolute is not None and math.isfinite(found.absolute)
    assert found.relative is None or math.isfinite(found.relative)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_change_refuses_nan_and_infinity(bad: float) -> None:
    """NaN and infinity are errors, so that they never reach a card."""
    with pytest.raises(ValueError, match="finite"):
        calc.change(bad, 1.0, unit_is_share=False)


def test_campaign_on_target_scores_100() -> None:
    """A campaign that meets each target exactly has 100 points, shared out by the weights."""
    found = score()
    assert found.value == pytest.approx(100.0)
    assert {name: round(part.points, 6) for name, part in found.parts.items()} == {
        "delivery": 20, "read": 20, "engagement": 35, "conversion": 25,
    }  # fmt: skip


def test_campaign_rates_are_shrunk() -> None:
    """Half the target engagement of 900 recipients is (67 + 20 * .15) / 920, not 67 / 900."""
    part = score(engaged=67).parts["engagement"]
    assert part.shrunk_rate == pytest.approx(70 / 920)
    assert part.points == pytest.approx(35 * (70 / 920) / 0.15)


def test_campaign_component_that_is_missing_drops_out() -> None:
    """Without read receipts the other three weigh .25, .4375 and .3125, and can still reach 100."""
    found = score(read=None)
    assert found.value == pytest.approx(100.0)
    assert [round(part.weight, 4) for part in found.parts.values()] == [0.25, 0.4375, 0.3125]


def test_campaign_without_recipients_is_not_rewarded() -> None:
    """A component with denominator 0 drops out instead of counting as on target."""
    assert set(score(recipients=0, engaged=0, converted=0).parts) == {"delivery", "read"}


def test_campaign_that_is_too_small_has_no_score() -> None:
    """With 29 attempts there is no value, but the components and the reason; with 30 there is one."""
    small = score(attempted=29, delivered=20, read=10, recipients=20, engaged=5, converted=1)
    assert small.value is None
    assert small.parts and small.reason
    assert score(attempted=30, delivered=20, read=10, recipients=20, engaged=5, converted=1).value is not None


def test_campaign_without_components_has_no_score() -> None:
    """When every component is missing there is nothing to average."""
    assert score(delivered=None, read=None, recipients=None, engaged=None, converted=None).value is None


@pytest.mark.parametrize(("leavers", "penalty"), [(0, 0.0), (1, 30 / 19), (19, 30.0), (500, 30.0)])
def test_campaign_penalty_grows_with_blocks_and_opt_outs(leavers: int, penalty: float) -> None:
    """2 % of the delivered blocking or opting out costs 30 points, fewer cost in proportion, more cost no more."""
    found = score(blocked=leavers // 2, opted_out=leavers - leavers // 2)
    assert found.penalty == pytest.approx(penalty)
    assert found.value == pytest.approx(100 - penalty)


def test_campaign_penalty_without_deliveries_is_full() -> None:
    """Leavers of a campaign that delivered nothing cost all 30 points instead of dividing by zero."""
    assert score(delivered=0, read=0, recipients=0, engaged=0, converted=0, blocked=1).penalty == 30.0


def test_campaign_aims_can_be_set() -> None:
    """Weights and targets are configurable, and a component can be left out."""
    found = calc.campaign_score(
        attempted=100, delivered=80, read=80, recipients=None, engaged=None, converted=None,
        aims={"delivery": calc.Aim(1.0, 1.0)},
    )  # fmt: skip
    assert found.value == pytest.approx(100 * (80 + 20) / 120)


@pytest.mark.parametrize("aims", [{"shine": calc.Aim(1, 1)}, {"read": calc.Aim(1, 0)}, {"read": calc.Aim(-1, 0.5)}])
def test_campaign_refuses_invalid_aims(aims: dict[str, calc.Aim]) -> None:
    """Unknown components, targets of 0 and negative weights are errors."""
    with pytest.raises(ValueError, match="campaign_score"):
        calc.campaign_score(
            attempted=100, delivered=80, read=8, recipients=None, engaged=None, converted=None, aims=aims
        )


def test_campaign_refuses_contradictions() -> None:
    """More reads than deliveries, and negative leavers, are errors."""
    with pytest.raises(ValueError, match="read"):
        score(read=951)
    with pytest.raises(ValueError, match="negative"):
        score(blocked=-1)


@given(
    delivery=PARTS_OF, read=st.integers(0, 10**9), recipients=PARTS_OF, converted=st.integers(0, 10**9),
    leavers=st.integers(0, 1000),
)  # fmt: skip
def test_campaign_score_stays_in_range(
    delivery: tuple[int, int], read: int, recipients: tuple[int, int], converted: int, leavers: int
) -> None:
    """Any campaign with 30 attempts scores between 0 and 100, and its parts add up to the score before the penalty."""
    found = score(
        attempted=delivery[1], delivered=delivery[0], read=min(read, delivery[0]), recipients=recipients[1],
        engaged=recipients[0], converted=min(converted, recipients[1]), blocked=leavers,
    )  # fmt: skip
    assert 0 <= found.penalty <= 30
    if found.value is not None:
        whole = sum(part.points for part in found.parts.values())
        assert 0 <= found.value <= 100
        assert found.value == pytest.approx(min(100.0, max(0.0, whole - found.penalty)), abs=1e-9)


@given(recipients=st.integers(1, 10**6), engaged=st.integers(0, 10**6))
def test_campaign_score_grows_with_engagement(recipients: int, engaged: int) -> None:
    """One more engaged recipient never lowers the score."""
    some = min(engaged, recipients - 1)
    less = score(recipients=recipients, engaged=some, converted=0).value
    more = score(recipients=recipients, engaged=some + 1, converted=0).value
    assert less is not None and more is not None and more >= less - 1e-9


def test_contact_score_matches_its_example() -> None:
    """A conversion today and an inbound message 30 days ago are 8 + 2 points raw, 39.3 in score."""
    found = calc.contact_engagement_score({("conversion", DAY): 1, ("inbound", DAY - timedelta(30)): 1}, DAY)
    assert found.raw == pytest.approx(10.0)
    assert found.value == pytest.approx(100 * (1 - math.exp(-0.5)))
    assert found.parts == pytest.approx({"conversion": 8.0, "inbound": 2.0})


def test_contact_score_without_activity_is_zero() -> None:
    """A contact that did nothing has 0, without a reason."""
    assert calc.contact_engagement_score({}, DAY) == calc.EngagementScore(0.0, 0.0, {})


def test_contact_score_counts_five_a_day() -> None:
    """The sixth message of a day adds nothing, a message of the next day does."""
    five = calc.contact_engagement_score({("inbound", DAY): 5}, DAY)
    assert calc.contact_engagement_score({("inbound", DAY): 99}, DAY) == five
    assert calc.contact_engagement_score({("inbound", DAY): 5, ("inbound", DAY - timedelta(1)): 1}, DAY).raw > five.raw


def test_contact_score_of_blocked_is_zero() -> None:
    """A blocked contact has 0 and the reason, and its parts can still be seen."""
    found = calc.contact_engagement_score({("click", DAY): 2}, DAY, blocked=True)
    assert (found.value, found.reason, found.parts) == (0.0, "blocked", {"click": 6.0})


def test_contact_score_does_not_know_the_future() -> None:
    """What happens after the asked day does not count."""
    assert calc.contact_engagement_score({("click", DAY + timedelta(1)): 2}, DAY).value == 0.0


@pytest.mark.parametrize("deeds", [{("dance", DAY): 1}, {("click", DAY): -1}])
def test_contact_score_refuses_unknown_kinds_and_negative_counts(deeds: dict[tuple[str, date], int]) -> None:
    """Unknown kinds and negative counts are errors."""
    with pytest.raises(ValueError, match="contact_engagement_score"):
        calc.contact_engagement_score(deeds, DAY)


@given(deeds=DEEDS, later=st.integers(0, 100))
def test_contact_score_fades(deeds: dict[tuple[str, date], int], later: int) -> None:
    """Any score lies in 0..100 and never grows while the contact does nothing."""
    now = calc.contact_engagement_score(deeds, DAY)
    then = calc.contact_engagement_score(deeds, DAY + timedelta(later))
    assert 0 <= then.value <= now.value <= 100


@given(deeds=DEEDS)
def test_contact_score_ignores_order(deeds: dict[tuple[str, date], int]) -> None:
    """The order in which a store returns the days changes not even the last digit."""
    turned = dict(reversed(deeds.items()))
    assert calc.contact_engagement_score(deeds, DAY) == calc.contact_engagement_score(turned, DAY)


def test_wilson_bounds_match_their_examples() -> None:
    """The lower bound is 16.8 % for 4 of 10, 37 % for 400 of 1,000, and None for nothing."""
    assert calc.wilson_lower(4, 10) == pytest.approx(0.1682, abs=1e-4)
    assert calc.wilson_lower(400, 1000) == pytest.approx(0.3701, abs=1e-4)
    assert calc.wilson_lower(0, 0) is None


@given(pair=PARTS_OF)
def test_wilson_is_below_the_share(pair: tuple[int, int]) -> None:
    """The bound lies between 0 and the plain share."""
    bound = calc.wilson_lower(*pair)
    assert bound is None if pair[1] == 0 else bound is not None and 0 <= bound <= pair[0] / pair[1] + 1e-12
