"""Policies: the class of a failure, and the pause before a retry."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.errors import BadInputError, HubbubError, StoreBusyError, TenantsFailedError
from hubbub.jobs.policies import LONGEST_PAUSE, QUEUES, classify

REQUIRED = {
    # queue: attempts, first pause, factor, completed kept, failed kept
    "trend-aggregation": (3, 60, 2, 50, 100),
    "ai-responses": (3, 2, 2, 100, 500),
    "analytics-ingest": (3, 2, 2, None, None),
    "analytics-aggregate": (2, 5, 1, None, None),
}


def test_queues_hold_to_the_requirements() -> None:
    """Attempts, backoff and history are those that users of the replaced systems rely on."""
    for name, (attempts, pause, factor, completed, failed) in REQUIRED.items():
        queue = QUEUES[name]
        assert (queue.attempts, queue.pause, queue.factor) == (attempts, pause, factor)
        assert completed is None or (queue.completed, queue.failed) == (completed, failed)
    assert QUEUES["trend-aggregation"].everywhere == 1
    assert (QUEUES["ai-responses"].at_once, QUEUES["ai-responses"].tenant_rate) == (5, 10)
    assert {"aggregation", "snapshots", "retention", "reports"} <= set(QUEUES)


def test_no_tenant_can_take_every_place_of_a_queue_with_limits_per_tenant() -> None:
    """A queue with a limit per tenant has at least one place that a tenant at its limit cannot hold."""
    for queue in QUEUES.values():
        if queue.per_tenant is not None:
            assert queue.per_tenant < queue.at_once, queue.name


@given(st.sampled_from(sorted(QUEUES)), st.integers(1, 20), st.none() | st.floats(0, 1e6))
def test_a_pause_is_never_too_short_and_never_endless(name: str, attempt: int, retry_after: float | None) -> None:
    """A pause is at least the queue's backoff and the Retry-After, and at most LONGEST_PAUSE."""
    queue = QUEUES[name]
    pause = queue.delay(attempt, retry_after)
    assert pause >= min(LONGEST_PAUSE, max(queue.pause * queue.factor ** (attempt - 1), retry_after or 0))
    assert pause <= LONGEST_PAUSE


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (StoreBusyError(), "transient"),
        (BadInputError("no such page"), "permanent"),
        (ConnectionResetError("peer"), "transient"),
        (TimeoutError("slow"), "transient"),
        (TenantsFailedError(result={"errors": {"a": "broken"}}), "transient"),
        (ZeroDivisionError("oops"), "unknown"),
    ],
)
def test_errors_are_classed(error: Exception, kind: str) -> None:
    """Errors that may pass are transient, those that cannot are permanent, others are unknown; only unknown ones ask to be
    reported."""
    failure = classify(error)
    assert failure.kind == kind
    assert failure.reason
    assert bool(failure.action) == (kind == "unknown")


def test_a_failure_has_the_errors_code_action_and_retry_after() -> None:
    """The failure has the error's code, action for people and Retry-After."""

    class RefusedError(HubbubError):
        """Refused."""

        code = "refused"
        action = "Reconnect the page."
        retry_after = 12.5

    failure = classify(RefusedError())
    assert (failure.code, failure.action, failure.retry_after) == ("refused", "Reconnect the page.", 12.5)
