"""A real server: ingest in bodies and single events, cached answers, its start, and its memory and CPU when busy and idle."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

from bench import client, ingest, lab, late

SINGLE, ASKED, WATCHED, SETTLED = 5_000, 2_000, 60, 60
"""Requests with one event, requests for cached answers; seconds that an idle server is measured (publishing checks once a minute),
and seconds before that."""
AT = quote(lab.NOW.isoformat())


def keys(folder: Path, names: list[str]) -> list[str]:
    """Create a key for each tenant, and return their texts."""
    with lab.engine(folder) as hub:
        return [hub.keys.add(name).key for name in names]


def ingesting(size: lab.Size) -> lab.Findings:
    """Send bodies over four connections, and single events over 64, in turns with DuckDB and the empty handler."""
    bodies = lab.bodies(size, ingest.TAKEN)
    count = sum(body.count(b"\n") + 1 for body in bodies)
    file = size.path(".sent.ndjson")
    file.write_bytes(b"\n".join(bodies) + b"\n")
    lines = [line for body in bodies for line in body.split(b"\n")][:SINGLE]
    samples: dict[str, list[float]] = {"cpu": [], "wall": [], "bare cpu": [], "bare wall": []}
    rates: dict[str, list[float]] = {"/v1/events": [], "/empty": []}
    costs: dict[str, list[float]] = {"/v1/events": [], "/empty": []}
    for turn in range(size.rounds):
        beside = ingest.bare(file, size.path("-bare"))
        folder = ingest.fresh(size.path("-http"))
        names = [f"owner-{number}" for number in range(ingest.OWNERS)]
        own = keys(folder, names)
        with client.serving(folder, "--no-jobs") as server:
            asked = [client.request("/v1/events", own[n % len(own)], body) for n, body in enumerate(bodies)]
            done = client.run(server, asked, 4)
            for path in sorted(rates, reverse=bool(turn % 2)):
                single = [client.request(path, own[0], line.replace(b'"id":"', b'"id":"single-', 1)) for line in lines]
                client.ask(server.port, single[:1], 1)
                one = client.run(server, single, 64)
                rates[path].append(len(single) / one.wall)
                costs[path].append(1e6 * one.cpu / len(single))
        spent = {"cpu": done.cpu, "wall": done.wall, "bare cpu": beside.cpu, "bare wall": beside.wall}
        for name, value in spent.items():
            samples[name].append(1e6 * value / count)
    for used in (folder, size.path("-bare")):
        shutil.rmtree(used)
    file.unlink()
    return {
        "http_cpu": lab.found(samples["cpu"], samples["bare cpu"], f"{count:,} events; CPU of the server process"),
        "http_wall": lab.found(samples["wall"], samples["bare wall"]),
        "http_single": lab.found(rates["/v1/events"], rates["/empty"], f"{len(lines):,} requests"),
        "http_single_cpu": lab.found(costs["/v1/events"], costs["/empty"]),
    }


def kept(server: client.Server, key: str, rounds: int) -> lab.Findings:
    """Ask for one cached dashboard repeatedly, in turns with the empty handler, in milliseconds."""
    asked = {"ours": f"/v1/dashboard?at={AT}", "theirs": "/empty"}
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    for _ in range(rounds):
        for name, path in asked.items():
            times[name].append(1000 * lab.p99(client.ask(server.port, [client.request(path, key)] * ASKED, 4)[50:]))
    return {
        "cached": lab.found(times["ours"], times["theirs"], f"p99 of each round of {ASKED:,} requests, 4 connections")
    }


def working(server: client.Server, size: lab.Size, own: list[str]) -> lab.Findings:
    """Send 10,000 late events and ask for dashboards; return the most memory that the process ever had."""
    events = late.hot(size, 10_000)
    for number, key in zip(lab.some_tenants(size), own, strict=True):
        mine = [line for tenant, line in events if tenant == number]
        if mine:
            client.ask(server.port, [client.request("/v1/events", key, b"\n".join(mine) + b"\n")], 1)
    boards = [client.request(f"/v1/dashboard?at={AT}", key) for key in own] * 3
    asked = len(client.ask(server.port, boards, 4))
    own_pages = lab.memory_of(server.pid, "RssAnon")
    note = f"{asked} dashboards; {own_pages:,.0f} MB of it at the end are not mapped files"
    return {"memory": lab.found([lab.memory_of(server.pid, "VmHWM")], (), note)}


def idle(server: client.Server) -> lab.Findings:
    """Measure an idle server."""
    time.sleep(SETTLED)
    before = lab.cpu_of(server.pid)
    time.sleep(WATCHED)
    share = 100 * (lab.cpu_of(server.pid) - before) / WATCHED
    return {
        "idle_cpu": lab.found([share], (), f"over {WATCHED} s"),
        "idle_memory": lab.found([lab.memory_of(server.pid)]),
    }


def measure(size: lab.Size) -> lab.Findings:
    """Measure all servers, one after the other."""
    rows = ingesting(size)
    folder = lab.copy(lab.folded(size), "-served")
    own = keys(folder, [lab.name_of(number) for number in lab.some_tenants(size)])
    starts, spent = [], []
    for turn in range(size.rounds):
        with client.serving(folder) as server:
            starts.append(server.ready)
            spent.append(lab.cpu_of(server.pid))
            if not turn:
                rows |= idle(server)
    with client.serving(folder) as server:
        rows |= kept(server, own[0], size.rounds)
        rows |= working(server, size, own)
    shutil.rmtree(folder)
    hubbub = str(Path(sys.executable).with_name("hubbub"))
    helps = [lab.cost(subprocess.run, [hubbub, "--help"], stdout=subprocess.DEVNULL, check=True).wall for _ in range(7)]
    return rows | {
        "ready": lab.found(starts, (), f"{size.events:,} events stored; {lab.median(spent):.2f} s CPU"),
        "help": lab.found(helps),
    }
