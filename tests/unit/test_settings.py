"""Settings: their precedence, and errors for unusable ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubbub.errors import BadSettingError
from hubbub.settings import load


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Change to an empty folder without variables of settings."""
    monkeypatch.chdir(tmp_path)
    for name in ("DATA", "PORT", "HOST", "THREADS", "RETENTION", "MEMORY_LIMIT", "LOG_LEVEL"):
        monkeypatch.delenv(f"HUBBUB_{name}", raising=False)


def test_defaults_are_valid_without_any_settings() -> None:
    """Without any settings the defaults are the folder hubbub-data, the loopback address and port 8321."""
    settings = load()
    assert (settings.data, settings.host, settings.port) == (Path("hubbub-data"), "127.0.0.1", 8321)
    assert settings.retention.model_dump() == {
        "raw": 90,
        "hour": 30,
        "day": 365,
        "week": 730,
        "month": 1095,
        "facts": 1095,
    }


def test_facts_are_kept_as_long_as_the_longest_grain() -> None:
    """Without a setting for facts, the longest of hour, day, week and month applies; no limit is the longest."""
    assert load(retention={"month": 2000}).retention.facts == 2000
    assert load(retention={"week": None}).retention.facts is None
    assert load(retention={"week": None, "facts": 30}).retention.facts == 30


def test_flags_win_over_variables_over_the_folders_file_over_the_current_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arguments win over variables, these over the data folder's file, and that over the current folder's."""
    Path("data").mkdir()
    Path("hubbub.yaml").write_text("port: 1001\nhost: far\nmax_batch: 7\n")
    assert load(Path("data")).port == 1001
    Path("data/hubbub.yaml").write_text("port: 1002\nhost: near\n")
    assert (load(Path("data")).port, load(Path("data")).host, load(Path("data")).max_batch) == (1002, "near", 7)
    monkeypatch.setenv("HUBBUB_PORT", "1003")
    assert (load(Path("data")).port, load(Path("data")).host) == (1003, "near")
    assert load(Path("data"), port=1004, host=None).port == 1004


def test_the_data_folder_comes_from_the_environment_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """HUBBUB_DATA names the folder, and its hubbub.yaml is read."""
    Path("elsewhere").mkdir()
    Path("elsewhere/hubbub.yaml").write_text("port: 1005\n")
    monkeypatch.setenv("HUBBUB_DATA", "elsewhere")
    assert (load().data, load().port) == (Path("elsewhere"), 1005)


def test_a_part_of_the_retention_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable sets one grain, YAML sets another to no limit; the others stay."""
    monkeypatch.setenv("HUBBUB_RETENTION__RAW", "7")
    Path("hubbub.yaml").write_text("retention: {month: null}\n")
    kept = load().retention
    assert (kept.raw, kept.hour, kept.month) == (7, 30, None)


def test_the_cache_is_set_by_its_url_and_its_tiers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache is in memory by default, with the documented seconds; URL and tiers have variables."""
    settings = load()
    assert settings.cache_url == "mem://"
    told = {"enabled": True, "realtime": 30, "dashboard": 60, "period": 300, "snapshots": 3600, "size_mb": 64}
    assert settings.cache.model_dump() == told
    monkeypatch.setenv("HUBBUB_CACHE_URL", "redis://localhost:6379/3")
    monkeypatch.setenv("HUBBUB_CACHE__DASHBOARD", "5")
    Path("hubbub.yaml").write_text("cache: {enabled: false, period: 7}\n")
    settings = load()
    assert settings.cache_url == "redis://localhost:6379/3"
    assert settings.cache.model_dump() == told | {"enabled": False, "period": 7, "dashboard": 5}


ANALYTICS = """
analytics:
  collection: {enabled: true, batchSize: 250, flushInterval: 2500}
  aggregation: {enabled: false, timezone: Europe/Rome}
  retention:
    {rawEvents: 45, hourlyAggregations: 15, dailyAggregations: 100, weeklyAggregations: 200, monthlyAggregations: 300}
  cache: {enabled: true, ttl: 90000}
  reports: {enabled: true, formats: [json, csv], storage: out}
"""


def test_configuration_of_the_replaced_systems_is_read() -> None:
    """The replaced system's names under `analytics:`, with milliseconds, in camelCase or not, set ours, beside our own
    settings.
    """
    for text in (ANALYTICS, ANALYTICS.replace("batchSize", "batch_size").replace("rawEvents", "raw_events")):
        Path("hubbub.yaml").write_text(text + "cache: {period: 7}\nport: 1001\n")
        settings = load()
        assert settings.collection.model_dump() == {"enabled": True, "batch_size": 250, "flush_interval": 2.5}
        assert (settings.aggregation.enabled, settings.default_zone, settings.port) == (False, "Europe/Rome", 1001)
        kept = {"raw": 45, "hour": 15, "day": 100, "week": 200, "month": 300, "facts": 300}
        assert settings.retention.model_dump() == kept
        assert (settings.cache.enabled, settings.cache.dashboard, settings.cache.period) == (True, 90, 7)
        assert (settings.reports.formats, settings.reports.folder) == (["json", "csv"], Path("out"))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("analytics: {collection: {batchsize: 1}}", "analytics.collection.batchsize"), ("analytics: 3", "analytics"),
        ("analytics: {cache: {ttl: soon}}", "analytics.cache.ttl"), ("analytics: {queue: {a: 1}}", "analytics.queue.a"),
        ("analytics: {cache: 3}", "analytics.cache"), ("analytics: {retention: {rawEvents: 0}}", "retention.raw"),
        ("analytics: {retention: {rawEvents: 5}}\nretention: {raw: 6}", "analytics.retention.raw_events and retention.raw"),
        ("port: 1\nhost: a\nport: 2", "'port' occurs twice"), ("[port]", "must be a mapping"), ("1: 2", "must be a mapping"),
        ("port: 0", "port"), ("port: 65536", "port"), ("port: many", "port"), ("prot: 1", "prot"),
        ("refresh_seconds: 0", "refresh_seconds"), ("max_body_mb: 0", "max_body_mb"), ("max_batch: 0", "max_batch"),
        ("log_level: loud", "log_level"),
        ("default_zone: Mars/Base", "default_zone"), ("store_url: mysql://x", "store_url"),
        ("control_url: mysql://x", "control_url"), ("cache_url: memcached://x", "cache_url"), ("cache_url: ''", "cache_url"),
        ("cache: {realtime: -1}", "cache.realtime"), ("cache: {size_mb: many}", "cache.size_mb"), ("cache: {ttl: 1}", "cache.ttl"),
        ("retention: {raw: 0}", "retention.raw"), ("retention: {year: 5}", "retention.year"),
        ("secret_key: abc", "secret_key"), ("ai: {timeout: 0}", "ai.timeout"), ("ai: {name: x}", "ai.name"),
        ("free_floor_mb: -1", "free_floor_mb"),
        ("a: [", "YAML"), ("\x00", "YAML"),
    ],
)  # fmt: skip
def test_invalid_settings_are_named(text: str, named: str) -> None:
    """A value out of range, an unknown setting and a broken file raise an error with their name."""
    Path("hubbub.yaml").write_text(text + "\n")
    with pytest.raises(BadSettingError, match=named.replace(".", r"\.")):
        load()


def test_a_broken_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable with invalid JSON raises an error with its name, without a traceback of the library."""
    monkeypatch.setenv("HUBBUB_RETENTION", "{")
    with pytest.raises(BadSettingError, match="retention"):
        load()


def test_keys_are_not_shown() -> None:
    """Secrets in settings are in no text and no error of them."""
    shown = load(secret_key="ab" * 32, ai={"key": "canary", "url": "https://x/v1"})
    assert shown.secret_key.get_secret_value() == "ab" * 32
    assert "canary" not in f"{shown} {shown.ai}" and "abab" not in f"{shown} {shown.secret_key}"
    with pytest.raises(BadSettingError) as caught:
        load(secret_key="canary")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("url", ["mysql://h/hubbub", "duckdb:x", "clickhouse:x"])
def test_no_other_store_is_taken(url: str) -> None:
    """Events are stored in the data folder or in PostgreSQL: another URL is refused in one line with advice."""
    with pytest.raises(BadSettingError, match=r"store_url.*or there with a copy") as caught:
        load(store_url=url)
    assert "\n" not in caught.value.message


def test_clickhouse_needs_a_postgresql_store(tmp_path: Path) -> None:
    """With ClickHouse, writes and jobs use the PostgreSQL of `control_url`; without it the setting is refused."""
    copy, store = "clickhouse://h/hubbub", "postgresql://h/hubbub"
    for other in ("", "sqlite:////x.db"):
        with pytest.raises(BadSettingError, match=r"store_url: ClickHouse holds a copy.*control_url"):
            load(store_url=copy, control_url=other)
    large = load(store_url=copy, control_url=store)
    assert (large.copy_address, large.facts_address, large.control_address, large.jobs_address) == (copy, *[store] * 3)
    shared = load(store_url=store)
    assert (shared.copy_address, shared.facts_address, shared.control_address, shared.jobs_address) == (
        "",
        *[store] * 3,
    )


def test_addresses_are_those_that_others_reach(tmp_path: Path) -> None:
    """Addresses have host and port, or `public_url` with the proxy's path; a path in `public_url` is refused by name."""
    assert load(tmp_path, port=9000).address("/v1/hooks/x") == "http://127.0.0.1:9000/v1/hooks/x"
    behind = load(tmp_path, public_url="https://stats.example.com/", base_path="/stats")
    assert behind.address("/v1/hooks/x") == "https://stats.example.com/stats/v1/hooks/x"
    for wrong in ("stats.example.com", "https://stats.example.com/stats", "https://u:p@x", "ftp://x"):
        with pytest.raises(BadSettingError, match="public_url"):
            load(tmp_path, public_url=wrong)
