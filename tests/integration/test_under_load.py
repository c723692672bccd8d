"""Clients send over HTTP while the server is killed or backed up: nothing is lost, doubled or partial."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import hubbub
from tests.extent import KILLS_OF_SERVERS
from tests.integration.child import TENANTS
from tests.integration.clients import SEED, Clients, Numbers, check
from tests.integration.test_serve import Place, place


@pytest.fixture
def shops(tmp_path: Path) -> Iterator[tuple[Place, Clients, list[str]]]:
    """A folder with three tenants, clients with their keys, and the address that they send to."""
    with place(tmp_path / "data") as here:
        with hubbub.open(here.folder, free_floor_mb=0) as engine:
            for name, zone in TENANTS.items():
                engine.add_tenant(name, zone, retention={"raw": None, "facts": None})
            url = [""]
            clients = Clients({name: engine.keys.add(name).key for name in TENANTS}, lambda: url)
        yield here, clients, url


def checked(folder: Path, fresh: Path, at_least: Numbers, at_most: Numbers) -> int:
    """Check a folder without a running server (see `clients.check`); return its number of events."""
    with hubbub.open(folder, free_floor_mb=0) as engine:
        engine.refresh()
        assert engine.verify()["clean"]
        return check(engine, fresh, at_least, at_most)


@pytest.mark.slow
def test_a_server_killed_under_four_clients(shops: tuple[Place, Clients, list[str]]) -> None:
    """After kills at random moments while four clients send, every event is stored once and every number is right."""
    here, clients, url = shops
    draw = random.Random(SEED)
    server, url[0] = here.start()
    waits = []
    with clients.sending():
        for _ in range(KILLS_OF_SERVERS):
            waits.append(round(draw.uniform(0.1, 1.5), 2))
            time.sleep(waits[-1])
            server.kill()
            server.wait()
            server, url[0] = here.start()
        time.sleep(0.5)
    server.terminate()
    assert server.wait(timeout=120) == 0
    assert clients.sent == clients.acknowledged
    total = checked(here.folder, here.folder.parent / "fresh", clients.sent, clients.sent)
    print(
        f"seed {SEED}: killed {len(waits)} times after {waits} s; {total} events, {clients.cut_off} bodies sent again"
    )
    assert total > 0


@pytest.mark.slow
def test_a_backup_under_load_is_consistent(shops: tuple[Place, Clients, list[str]], tmp_path: Path) -> None:
    """A backup taken while four clients send holds everything acknowledged before it, and its numbers follow from its events."""
    here, clients, url = shops
    server, url[0] = here.start()
    with clients.sending():
        time.sleep(2)
        before = {name: set(numbers) for name, numbers in clients.acknowledged.items()}
        made = here.told("backup", str(tmp_path / "backup"))
        after = {name: set(numbers) for name, numbers in clients.sent.items()}
    server.terminate()
    assert server.wait(timeout=120) == 0
    back = Place(tmp_path / "back")
    restored = back.run("restore", str(tmp_path / "backup"), "--json")
    assert restored.returncode == 0, restored.stderr
    total = checked(back.folder, tmp_path / "fresh", before, after)
    print(
        f"{json.dumps(made)[:200]}; {sum(map(len, before.values()))} <= {total} <= {sum(map(len, after.values()))} events"
    )
    assert checked(here.folder, tmp_path / "fresh-whole", clients.sent, clients.sent) >= total > 0
