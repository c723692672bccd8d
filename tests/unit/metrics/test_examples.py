"""Every metric's example of the reference, run against values that were worked out by hand from the definitions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hubbub.metrics.catalogue import METRICS
from hubbub.metrics.definition import WITHIN, Quantiles
from hubbub.metrics.examples import Example, examples, read
from hubbub.model import calendar
from hubbub.model.tenant import Tenant
from hubbub.model.threads import Threads, changed
from hubbub.model.window import Grain, local_midnight
from tests.laws.conftest import Lab

EXAMPLES = examples()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A store for all examples; each example has its own tenant."""
    made = Lab(tmp_path_factory.mktemp("examples"))
    made.empty()
    yield made
    made.store.close()


def tenant_of(lab: Lab, example: Example) -> Tenant:
    """Return the tenant of an example."""
    hours = calendar.read(example.calendar) if example.calendar else calendar.NO_CALENDAR
    threads = changed(Threads(), example.threads)
    return replace(
        lab.tenant(example.zone, hours), hotspot_tones=example.hotspot_tones, threads=threads, targets=example.targets,
        ai_minutes_saved=example.ai_minutes_saved,
    )  # fmt: skip


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: next(iter(one.gives)))
@pytest.mark.parametrize("backwards", [False, True], ids=["in order", "backwards"])
def test_an_example_gives_its_calculated_values(lab: Lab, example: Example, backwards: bool) -> None:
    """The engine gives all values of an example, queried together and one by one, whatever the order of events."""
    tenant, events = tenant_of(lab, example), example.happened()
    lab.send(tenant, reversed(events) if backwards else events)
    start, end = (local_midnight(day, tenant.tz) for day in (example.first, example.after))
    expected = {name: pytest.approx(float(value), rel=1e-12) for name, (value, _) in example.gives.items()}
    (row,) = lab.ask(tenant, list(expected), start, end).rows
    assert {name: cell.value for name, cell in row.cells.items()} == expected
    for name, value in expected.items():
        (row,) = lab.ask(tenant, [name], start, end, Grain.DAY).rows
        assert row.cells[name].value == value, name


def test_every_metric_has_an_example() -> None:
    """Each metric has an example with a reason, each distribution one for its count, and two distributions one for each
    statistic."""
    given = {name for example in EXAMPLES for name in example.gives}
    assert set(METRICS) - {name.partition(".")[0] for name in given} == set()
    assert {name for name in given if name.partition(".")[0] not in METRICS} == set()
    assert all(why for example in EXAMPLES for _, why in example.gives.values())
    for name in (n for n, (metric, _) in METRICS.items() if isinstance(metric, Quantiles)):
        assert {f"{name}.count"} <= given
    for name in ("response_ms", "first_response_ms"):
        assert {f"{name}.{s}" for s in ("avg", "sum", "min", "max", "p50", "p90", "p95", "p99", *WITHIN)} <= given


def test_an_invalid_line_is_quoted_in_the_error() -> None:
    """An invalid line of the file is refused, and the error quotes it."""
    (example,) = read("- {story: x, events: [yesterday message.sent], gives: {messages: [1, y]}}")
    with pytest.raises(ValueError, match="yesterday"):
        example.happened()


def test_the_file_is_in_the_package() -> None:
    """The file of examples lies beside the declarations of the metrics."""
    assert (Path(__file__).parents[3] / "src/hubbub/metrics/examples.yaml").is_file()
