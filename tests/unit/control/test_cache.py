"""The cache in memory and in Redis: what a lookup returns, what invalidates it, how much is held, and work without a Redis."""

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
    """A clock in seconds that moves only when the test says so."""

    now = 1000.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now


@pytest.fixture
def timer() -> Timer:
    """A clock that stands still."""
    return Timer()


@pytest.fixture(params=["memory", "redis"])
def cache(request: pytest.FixtureRequest, timer: Timer) -> Iterator[Cache]:
    """An empty cache, in memory and in Redis."""
    if request.param == "memory":
        made: Cache = Memory(1 << 20, timer)
    else:
        made = Redis(request.getfixturevalue("redis_server").url, "test", timer)
    yield made
    made.close()


def keep(cache: Cache, key: str = "k", tags: tuple[str, ...] = TAGS, kept: Kept = BODY, seconds: float = 60) -> None:
    """Cache an answer whose lookup and result come at the same moment."""
    cache.put(key, cache.get(key, tags)[1], kept, seconds)


def test_a_cached_answer_comes_back_unchanged(cache: Cache) -> None:
    """An answer comes back with the same bytes and time of making, and under its own key only."""
    assert cache.get("k", TAGS)[0] is None
    keep(cache)
    assert cache.get("k", TAGS)[0] == BODY
    assert cache.get("other", TAGS)[0] is None


@pytest.mark.parametrize("dropped", TAGS)
def test_a_dropped_tag_invalidates_only_its_answers(cache: Cache, dropped: str) -> None:
    """Dropping either of its two tags invalidates an answer; answers under other tags stay."""
    keep(cache)
    keep(cache, "other", ("2:numbers",))
    cache.drop([dropped])
    assert cache.get("k", TAGS)[0] is None
    assert cache.get("other", ("2:numbers",))[0] == BODY
    keep(cache)
    assert cache.get("k", TAGS)[0] == BODY


def test_an_answer_begun_before_a_drop_is_not_returned(cache: Cache) -> None:
    """An answer whose computation began before a drop is not returned when it is stored later, even after a second drop."""
    _, stamp = cache.get("k", TAGS)
    cache.drop(["1:numbers"])
    cache.put("k", stamp, BODY, 60)
    assert cache.get("k", TAGS)[0] is None
    cache.drop(["1:numbers"])
    cache.put("k", stamp, BODY, 60)
    assert cache.get("k", TAGS)[0] is None


def test_too_large_and_zero_second_answers_are_not_cached(cache: Cache) -> None:
    """An answer above `LARGEST`, or one with 0 seconds to live, is not cached; nothing is raised."""
    keep(cache, kept=Kept(b"x" * (LARGEST + 1), 0))
    assert cache.get("k", TAGS)[0] is None
    keep(cache, seconds=0)
    assert cache.get("k", TAGS)[0] is None


def test_answers_in_memory_expire(timer: Timer) -> None:
    """An answer is valid for its own number of seconds, and not after them."""
    cache = Memory(1 << 20, timer)
    keep(cache, "short", seconds=30)
    keep(cache, "long", seconds=60)
    timer.now += 31
    assert cache.get("short", TAGS)[0] is None
    assert cache.get("long", TAGS)[0] == BODY
    timer.now += 30
    assert cache.get("long", TAGS)[0] is None


def test_every_key_in_redis_has_an_expiry(redis_server: RedisServer) -> None:
    """Every key in Redis, of answers and of tokens, has an expiry and the prefix of the installation."""
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
    """Many answers, large or small, stay within the bound of 2 MB, by the cache's own count and by Python's."""
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


def test_memory_evicts_the_least_recently_used_answer() -> None:
    """With room for two answers, a third evicts the least recently used."""
    cache = Memory(2 * (BESIDE + 10))
    for key in ("a", "b"):
        keep(cache, key, kept=Kept(b"0123456789", 0))
    cache.get("a", TAGS)
    keep(cache, "c", kept=Kept(b"0123456789", 0))
    assert [cache.get(key, TAGS)[0] is not None for key in "abc"] == [True, False, True]


def test_a_lost_token_is_a_drop(redis_server: RedisServer) -> None:
    """An answer whose token Redis evicted is never returned again, even after a new token is made."""
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
def test_a_foreign_value_is_a_miss(redis_server: RedisServer, value: bytes) -> None:
    """A value under our key that we did not write, like a pickle, counts as a miss and raises nothing."""
    cache = Redis(redis_server.url, "test")
    _, stamp = cache.get("k", TAGS)
    with redis_py.Redis.from_url(redis_server.url) as client:
        client.set("test:k", value)
        client.hset("test:hash", "a", "b")
    assert cache.get("k", TAGS) == (None, stamp)
    assert cache.get("hash", TAGS)[0] is None
    cache.close()


def test_two_installations_in_one_redis_are_separate(redis_server: RedisServer, tmp_path: Path) -> None:
    """Each store keeps its own cache space: another store's space holds neither its answers nor its drops."""
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


def test_a_drop_holds_for_other_processes(redis_server: RedisServer) -> None:
    """Two processes on one Redis: each reads the other's answers, and neither reads an answer that one of them dropped."""
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
def test_without_redis_lookups_miss_and_one_line_is_logged(redis_server: RedisServer, timer: Timer, way: str) -> None:
    """While Redis is stopped or hangs, lookups miss, nothing is raised, and one line is logged; later it is used again."""
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
    """An answer cached before Redis hung, and dropped meanwhile, is invalid afterwards in this process and in another."""
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
    """A cached answer is valid until another process accepts or folds events; one begun before that is not cached. This process's
    own reads invalidate nothing."""
    store = Store(tmp_path)
    cache = Following(1 << 20, store)
    command = [sys.executable, "-c", OTHER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin is not None and other.stdout is not None
        assert other.stdout.readline() == "open\n"
        for word, there in (("nothing", True), ("accept", False), ("change", False), ("nothing", True)):
            keep(cache)
            with store.facts.read(), store.facts.read(), log_of(store).database.read():
                store.installation()  # any number of connections that this process reads with
            _, stamp = cache.get("k", TAGS)
            other.stdin.write(f"{word}\n")
            other.stdin.flush()
            assert other.stdout.readline() == "done\n"
            assert (cache.get("k", TAGS)[0] == BODY) is there, word
            cache.put("k", stamp, BODY, 60)
            assert (cache.get("k", TAGS)[0] == BODY) is there, word
        other.stdin.close()
    store.close()


def test_memory_misses_while_changes_are_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the store cannot say whether another process changed it, lookups miss, nothing is cached, and nothing is raised."""
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


def test_many_drops_are_sent_in_pieces(redis_server: RedisServer) -> None:
    """Dropping 5,000 tags at once invalidates the answers of all of them."""
    cache = Redis(redis_server.url, "test")
    for number in (0, 2500, 4999):
        keep(cache, f"k{number}", (f"{number}:numbers",))
    cache.drop(f"{number}:numbers" for number in range(5000))
    assert [cache.get(f"k{n}", (f"{n}:numbers",))[0] for n in (0, 2500, 4999)] == [None] * 3
    cache.close()


def test_an_invalid_url_names_its_setting() -> None:
    """A URL of Redis with a bad port is refused when the cache is made; the error names the setting."""
    with pytest.raises(BadSettingError, match="cache_url"):
        Redis("redis://localhost:port/0", "test")


def test_a_forgotten_prefix_is_removed_at_once(cache: Cache, request: pytest.FixtureRequest) -> None:
    """Forgetting a prefix removes all answers under it at once, dropped ones too; answers under other keys stay."""
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
