"""The cache in memory and in Redis: what is found and what never again, how much is kept, and what happens without a Redis."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis as redis_py
from structlog.testing import capture_logs

from hubbub.app import open_engine
from hubbub.control.cache import BESIDE, LARGEST, PAUSE, Cache, Following, Kept, Memory, Redis, space_of
from hubbub.errors import BadSettingError, StoreUnavailableError
from hubbub.storage.store import Store
from tests.conftest import RedisServer
from tests.embedded import log_of

TAGS = ("all", "1:numbers")
BODY = Kept('{"rows":["né\\n"]}\n'.encode(), 12.5)


class Timer:
    """Seconds that go by when the test says so."""

    now = 1000.0

    def __call__(self) -> float:
        """Return them."""
        return self.now


@pytest.fixture
def timer() -> Timer:
    """Stand still."""
    return Timer()


@pytest.fixture(params=["memory", "redis"])
def cache(request: pytest.FixtureRequest, timer: Timer) -> Iterator[Cache]:
    """Return an empty cache: each test runs on memory and on Redis."""
    if request.param == "memory":
        made: Cache = Memory(1 << 20, timer)
    else:
        made = Redis(request.getfixturevalue("redis_server").url, "test", timer)
    yield made
    made.close()


def keep(cache: Cache, key: str = "k", tags: tuple[str, ...] = TAGS, kept: Kept = BODY, seconds: float = 60) -> None:
    """Keep an answer that was begun and done at once."""
    cache.put(key, cache.get(key, tags)[1], kept, seconds)


def test_what_is_kept_is_found_as_it_was(cache: Cache) -> None:
    """Bytes, line ends and all, and the moment they were made come back, under their own key only."""
    assert cache.get("k", TAGS)[0] is None
    keep(cache)
    assert cache.get("k", TAGS)[0] == BODY
    assert cache.get("other", TAGS)[0] is None


@pytest.mark.parametrize("dropped", TAGS)
def test_a_dropped_tag_lets_go_of_its_answers_alone(cache: Cache, dropped: str) -> None:
    """Either of two tags lets go of what stands under both; what stands under others stays."""
    keep(cache)
    keep(cache, "other", ("2:numbers",))
    cache.drop([dropped])
    assert cache.get("k", TAGS)[0] is None
    assert cache.get("other", ("2:numbers",))[0] == BODY
    keep(cache)
    assert cache.get("k", TAGS)[0] == BODY


def test_an_answer_that_was_begun_before_a_drop_is_not_found(cache: Cache) -> None:
    """Who worked an answer out of what was there before the drop keeps it in vain, also when the same was dropped twice."""
    _, stamp = cache.get("k", TAGS)
    cache.drop(["1:numbers"])
    cache.put("k", stamp, BODY, 60)
    assert cache.get("k", TAGS)[0] is None
    cache.drop(["1:numbers"])
    cache.put("k", stamp, BODY, 60)
    assert cache.get("k", TAGS)[0] is None


def test_what_is_too_large_or_for_no_time_is_not_kept(cache: Cache) -> None:
    """An answer of many megabytes, and one that may be kept for 0 seconds, are not there afterwards; nothing is raised."""
    keep(cache, kept=Kept(b"x" * (LARGEST + 1), 0))
    assert cache.get("k", TAGS)[0] is None
    keep(cache, seconds=0)
    assert cache.get("k", TAGS)[0] is None


def test_memory_lets_go_when_the_time_is_over(timer: Timer) -> None:
    """An answer is there for its own seconds, and not after them."""
    cache = Memory(1 << 20, timer)
    keep(cache, "short", seconds=30)
    keep(cache, "long", seconds=60)
    timer.now += 31
    assert cache.get("short", TAGS)[0] is None
    assert cache.get("long", TAGS)[0] == BODY
    timer.now += 30
    assert cache.get("long", TAGS)[0] is None


def test_redis_is_told_when_the_time_is_over(redis_server: RedisServer) -> None:
    """Answers and tokens all have an end in Redis: nothing of ours stays there for ever."""
    cache = Redis(redis_server.url, "test")
    keep(cache, seconds=30)
    with redis_py.Redis.from_url(redis_server.url) as client:
        names = client.keys("*")
        assert isinstance(names, list) and len(names) == 1 + len(TAGS)
        assert all(name.startswith(b"test:") for name in names)
        assert 29_000 < int(client.pttl("test:k")) <= 30_000
        assert all(int(client.ttl(name)) > 0 for name in names)
    cache.close()


def test_memory_stays_within_its_bound() -> None:
    """Ten thousand answers of 10 kB through a cache of 2 MB: what it says it holds, and what Python holds for it, are no more."""
    cache = Memory(2 << 20)
    tracemalloc.start()
    try:
        for number in range(10_000):
            keep(cache, f"{number:040}", kept=Kept(bytes(10_000), float(number)))
            assert cache.size <= 2 << 20
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 2.1 * (1 << 20)
    small = Memory(2 << 20)
    tracemalloc.start()
    try:
        for number in range(4_000):
            keep(small, f"{number:040}", (f"{number}:numbers",), Kept(bytes([number % 256, 1]), float(number)))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert small.size <= 2 << 20
    assert held < 2.1 * (1 << 20)


def test_memory_lets_go_first_of_what_was_asked_for_longest_ago() -> None:
    """With room for two, asking for the older one makes the other one go when a third comes."""
    cache = Memory(2 * (BESIDE + 10))
    for key in ("a", "b"):
        keep(cache, key, kept=Kept(b"0123456789", 0))
    cache.get("a", TAGS)
    keep(cache, "c", kept=Kept(b"0123456789", 0))
    assert [cache.get(key, TAGS)[0] is not None for key in "abc"] == [True, False, True]


def test_a_lost_token_is_a_drop(redis_server: RedisServer) -> None:
    """When Redis pushed a token out, the answers under it are gone for good, however often it is made anew."""
    cache = Redis(redis_server.url, "test")
    keep(cache)
    with redis_py.Redis.from_url(redis_server.url) as client:
        client.delete("test:tag:1:numbers")
    for _ in range(3):
        assert cache.get("k", TAGS)[0] is None
    cache.close()


@pytest.mark.parametrize(
    "value", [b"", b"\x80\x04K\x01.", b"{}", b'{"made":1,"stamp":[]}\n{}', b'{"made":"x"}\n', b"null\nx"]
)
def test_what_others_wrote_is_no_answer(redis_server: RedisServer, value: bytes) -> None:
    """A value under our key that we did not write, a pickle too, is not found, and raises nothing."""
    cache = Redis(redis_server.url, "test")
    _, stamp = cache.get("k", TAGS)
    with redis_py.Redis.from_url(redis_server.url) as client:
        client.set("test:k", value)
        client.hset("test:hash", "a", "b")
    assert cache.get("k", TAGS) == (None, stamp)
    assert cache.get("hash", TAGS)[0] is None
    cache.close()


def test_two_installations_in_one_redis_do_not_meet(redis_server: RedisServer, tmp_path: Path) -> None:
    """Each store has a space of its own, which it remembers: the same key and tags in it hold another answer."""
    spaces = []
    for name in ("one", "two", "one"):
        with open_engine(tmp_path / name) as engine:
            spaces.append(space_of(engine.store))
    assert spaces[0] == spaces[2] != spaces[1]
    one, two = (Redis(redis_server.url, space) for space in spaces[:2])
    keep(one)
    assert two.get("k", TAGS)[0] is None
    two.drop(TAGS)
    assert one.get("k", TAGS)[0] == BODY
    one.close()
    two.close()


CHILD = """
import sys
from hubbub.control.cache import Kept, Redis
cache = Redis(sys.argv[1], "test")
for line in sys.stdin:
    if line == "drop\\n":
        cache.drop(["1:numbers"])
    found, stamp = cache.get("k", ["all", "1:numbers"])
    if line == "keep\\n":
        cache.put("k", stamp, Kept(b"theirs", 1.0), 60)
    print(found.body.decode() if found else "-", flush=True)
"""


def test_what_one_process_drops_is_dropped_for_the_other(redis_server: RedisServer) -> None:
    """Two processes on one Redis: each finds what the other keeps, and neither what either of them dropped."""
    cache = Redis(redis_server.url, "test")
    command = [sys.executable, "-c", CHILD, redis_server.url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin is not None and other.stdout is not None

        def tell(word: str) -> str:
            assert other.stdin is not None and other.stdout is not None
            other.stdin.write(word + "\n")
            other.stdin.flush()
            return other.stdout.readline().strip()

        assert tell("keep") == "-"
        assert cache.get("k", TAGS)[0] == Kept(b"theirs", 1.0)
        cache.drop(["1:numbers"])
        assert tell("look") == "-"
        keep(cache, kept=Kept(b"mine", 1.0))
        assert tell("look") == "mine"
        assert tell("drop") == "-"
        assert cache.get("k", TAGS)[0] is None
        other.stdin.close()
    cache.close()


@pytest.mark.parametrize("way", ["stop", "hang"])
def test_without_redis_nothing_is_found_and_little_said(redis_server: RedisServer, timer: Timer, way: str) -> None:
    """Stopped or silent: nothing is found, raised or kept, it is asked once in a while, one line is logged, and it comes back."""
    cache = Redis(redis_server.url, "test", timer)
    keep(cache)
    getattr(redis_server, way)()
    with capture_logs() as lines:
        for second in range(30):
            timer.now += 1
            for _ in range(20):
                assert cache.get("k", TAGS) == (None, ()), second
                keep(cache)
                cache.drop(["2:numbers"])
    assert [line["event"] for line in lines] == ["the cache is away: answers come from the store"]
    redis_server.go_on() if way == "hang" else redis_server.start()
    with capture_logs() as lines:
        timer.now += PAUSE
        keep(cache)
        assert cache.get("k", TAGS)[0] == BODY
    assert [line["event"] for line in lines] == ["the cache is back"]
    cache.close()


def test_a_drop_while_redis_is_away_counts_when_it_is_back(redis_server: RedisServer, timer: Timer) -> None:
    """What was kept before the silence, and dropped during it, is not found after it, in this process or another."""
    cache, other = Redis(redis_server.url, "test", timer), Redis(redis_server.url, "test", timer)
    keep(cache)
    keep(cache, "stays", ("all", "2:numbers"))
    redis_server.hang()
    cache.drop(["1:numbers"])
    redis_server.go_on()
    timer.now += PAUSE
    assert cache.get("stays", ("all", "2:numbers"))[0] == BODY
    assert cache.get("k", TAGS)[0] is None
    assert other.get("k", TAGS)[0] is None
    cache.close()
    other.close()


OTHER = """
import sys
from pathlib import Path
from hubbub.storage.log import Batch, Refused
from hubbub.storage.store import Store
store = Store(Path(sys.argv[1]))
refused = Refused(0, "api", "x", None, "", "")
print("open", flush=True)
for line in sys.stdin:
    if line == "accept\\n":
        store.log.append(Batch(1, (), (), 0, [refused]))
    elif line == "change\\n":
        with store.facts.write() as writing:
            writing.run("INSERT OR REPLACE INTO meta VALUES ('anything', hex(randomblob(8)))")
    print("done", flush=True)
"""


def test_memory_follows_what_other_processes_change(tmp_path: Path) -> None:
    """An answer is found until another process accepts or folds something, and one begun before that is kept in vain; what
    this process writes lets go of nothing."""
    store = Store(tmp_path)
    cache = Following(1 << 20, store)
    command = [sys.executable, "-c", OTHER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin is not None and other.stdout is not None
        assert other.stdout.readline() == "open\n"
        for word, there in (("nothing", True), ("accept", False), ("change", False), ("nothing", True)):
            keep(cache)
            with store.facts.read(), store.facts.read(), log_of(store).database.read():
                store.installation()  # however many connections this process reads with
            _, stamp = cache.get("k", TAGS)
            other.stdin.write(f"{word}\n")
            other.stdin.flush()
            assert other.stdout.readline() == "done\n"
            assert (cache.get("k", TAGS)[0] == BODY) is there, word
            cache.put("k", stamp, BODY, 60)
            assert (cache.get("k", TAGS)[0] == BODY) is there, word
        other.stdin.close()
    store.close()


def test_memory_finds_nothing_while_the_store_does_not_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is not known whether another process changed anything, nothing is found or kept, and nothing is raised."""
    store = Store(tmp_path)
    cache = Following(1 << 20, store)
    keep(cache)

    def away() -> tuple[int, int]:
        raise StoreUnavailableError("the disk is away")

    with monkeypatch.context() as patch:
        patch.setattr(store, "others", away)
        assert cache.get("k", TAGS) == (None, ())
        keep(cache, "late")
    assert cache.get("k", TAGS)[0] == BODY
    assert cache.get("late", TAGS)[0] is None
    store.close()


def test_many_drops_are_told_in_pieces(redis_server: RedisServer) -> None:
    """Dropping five thousand tenants' answers at once lets go of all of them."""
    cache = Redis(redis_server.url, "test")
    for number in (0, 2500, 4999):
        keep(cache, f"k{number}", (f"{number}:numbers",))
    cache.drop(f"{number}:numbers" for number in range(5000))
    assert [cache.get(f"k{n}", (f"{n}:numbers",))[0] for n in (0, 2500, 4999)] == [None] * 3
    cache.close()


def test_a_url_that_cannot_be_one_is_named() -> None:
    """A port that is no number is refused when the cache is made, with what to write."""
    with pytest.raises(BadSettingError, match="cache_url"):
        Redis("redis://localhost:port/0", "test")


def test_what_is_forgotten_is_gone_at_once(cache: Cache, request: pytest.FixtureRequest) -> None:
    """Answers under keys with a prefix are taken away, dropped ones too; those of others stay."""
    for key in ("1:a", "1:b", "11:a", "2:1:a"):
        _, stamp = cache.get(key, TAGS)
        cache.put(key, stamp, BODY, 60)
    cache.drop(["1:numbers"])
    cache.forget("1:")
    if isinstance(cache, Memory):
        assert cache.size == 2 * (BESIDE + len(BODY.body))
    else:
        with redis_py.Redis.from_url(request.getfixturevalue("redis_server").url) as client:
            assert sorted(client.scan_iter("test:[0-9]*")) == [b"test:11:a", b"test:2:1:a"]
