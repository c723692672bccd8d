"""Ten tenants and ten thousand with as many events: the cost of another tenant, of the fold, of late events and dashboards."""

from __future__ import annotations

import shutil
from dataclasses import replace

from bench import answers, lab, late
from hubbub.model.tenant import KEEP_EVERYTHING

EVENTS = 100_000
ADDED = 30


def one(size: lab.Size) -> dict[str, list[float]]:
    """Return samples for one number of tenants, by what was measured."""
    folder = lab.copy(lab.waiting(size), "-tenants")
    with lab.engine(folder) as hub:
        fold = lab.cost(hub.refresh).cpu
        repairs = late.late(hub, size, {100: 3})[100]
        boards = [lab.cost(answers.ours, hub, "dashboard", lab.name_of(n)).cpu for n in lab.some_tenants(size) * 3]
        add = [lab.cost(hub.control.add_tenant, f"one-more-{n}", retention=KEEP_EVERYTHING).cpu for n in range(ADDED)]
    shutil.rmtree(folder)
    return {
        "fold": [1e6 * fold / size.events], "late": [1e6 * s / 100 for s, _ in repairs], "dashboard": [1000 * s for s in boards],
        "add": [1000 * s for s in add],
    }  # fmt: skip


def measure(size: lab.Size) -> lab.Findings:
    """Measure ten thousand tenants and ten, with a number of events of their own."""
    few, many = (one(replace(size, events=EVENTS, tenants=tenants)) for tenants in (10, 10_000))
    note = f"{EVENTS:,} events; a tenant of ten has a thousand times as many of them"
    return {f"tenants_{name}": lab.found(many[name], few[name], note) for name in many}
