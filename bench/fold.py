"""Storing and folding all events of a full log from scratch, in turns with hand-written SQL for the same facts."""

from __future__ import annotations

import shutil

from bench import hand_facts, lab


def measure(size: lab.Size) -> lab.Findings:
    """Fold a copy of the waiting folder in each round; keep the last one for the other parts."""
    ours: list[float] = []
    theirs: list[float] = []
    target, database = size.path("-folded"), size.path("-hand.duckdb")
    said: dict[str, float] = {}
    for turn in range(size.rounds):
        folder = lab.copy(lab.waiting(size), "-fold")
        with lab.engine(folder) as hub:
            spent = lab.cost(hub.refresh)
            with hub.store.facts.read() as reading:
                mine = hand_facts.totals(reading.rows)
            events = mine["events"]
            ours.append(1e6 * spent.cpu / events)
            if turn == size.rounds - 1:
                hub.published.publish()
        beside, said = hand_facts.fold(size.parquet, database)
        theirs.append(1e6 * beside.cpu / events)
        shutil.rmtree(target, ignore_errors=True)
        folder.rename(target)
    database.unlink()
    differ = {
        name: [mine[name], value]
        for name, value in said.items()
        if abs(mine[name] - value) > 1e-6 * max(1.0, abs(value))
    }
    note = f"{events:,.0f} events; {len(said)} totals compared, differing: {differ or 'none'}"
    return {"fold_beside": lab.found(ours, theirs, note), "fold": lab.found(ours)}
