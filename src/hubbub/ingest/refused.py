"""Decide whether a refused delivery of a service means missing data.

A body without a valid signature is not the service's, and an unreadable body would fail again: neither means missing data. The
refused events of an accepted body wait in quarantine.
"""

from __future__ import annotations

from hubbub.model.coverage import Reason


def why_missing(status: int, outcome: str, reason: str) -> Reason | None:
    """Return why the data of a body with this answer are missing; None when they are not.

    `outcome` and `reason` are those of the delivery log.
    """
    if outcome == "forged":
        return None if reason == "no_signature" else Reason.UNVERIFIED
    if outcome == "integration_paused":
        return Reason.PAUSED
    return Reason.NOT_TAKEN if status in (413, 429) or status >= 500 else None
