"""Every command: help with its options, exit codes, JSON for programs, messages on stderr only."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from hubbub import __version__
from hubbub.app import open_engine
from hubbub.metrics.catalogue import METRICS
from hubbub.settings import Settings
from tests.unit.cli.conftest import EVENTS, Run, commands

COMMANDS = dict(commands())
SPAN = ("--tenant", "acme", "--from", "2026-08-01", "--to", "2026-08-02")


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_names_every_option(hubbub: Run, words: tuple[str, ...]) -> None:
    """`--help` ends with 0 and names each argument and option."""
    ended = hubbub(*words, "--help")
    assert (ended.code, ended.err) == (0, "")
    for parameter in COMMANDS[words].params:
        shown = (
            parameter.opts[0]
            if isinstance(parameter, click.Option) or parameter.opts[0].startswith("-")
            else parameter.metavar or parameter.name
        )
        assert shown is not None and shown in ended.out
    assert "--data" in ended.out


def test_sign_out_ends_sessions_of_one_tenant_or_of_operators(hubbub: Run, tmp_path: Path) -> None:
    """`sign-out` ends the sessions of one tenant, or of operators, and says how many; an unknown tenant is an error."""
    with open_engine(tmp_path / "hubbub-data") as engine:
        engine.add_tenant("acme")
        for tenant, role in (("acme", "viewer"), ("acme", "admin"), (None, "operator")):
            engine.access_store.enter(engine.access_store.invite(role, tenant)[1])
    assert hubbub("sign-out", "--tenant", "acme").out == "2 sessions of acme have ended\n"
    assert hubbub("sign-out", "--tenant", "acme", "--json").told == {"tenant": "acme", "ended": 0}
    assert hubbub("sign-out").out == "1 sessions of operators have ended\n"
    ended = hubbub("sign-out", "--tenant", "acne")
    assert ended.code != 0 and "acne" in ended.err


def test_commands_of_the_contract_are_there() -> None:
    """The commands that other programs call keep their names, and all but `serve` and `worker` have `--json`."""
    named = {" ".join(words) for words in COMMANDS}
    assert named >= {
        "serve", "import slack", "import events", "refresh", "backfill", "verify", "metrics", "query", "explain", "dashboard",
        "trends", "hotspots", "tenants add", "tenants list", "keys add", "keys list", "keys revoke", "keys rotate", "retention",
        "doctor",
        "config show", "config check", "demo", "snapshot", "snapshots list",
        "worker", "jobs list", "jobs show", "jobs retry", "jobs cancel", "schedules list", "schedules trigger", "schedules pause",
        "schedules resume", "schedules backfill",
        "integrations add", "integrations list", "integrations pause", "integrations resume",
    }  # fmt: skip
    assert all(
        "--json" in str([p.opts for p in c.params]) for w, c in COMMANDS.items() if w not in (("serve",), ("worker",))
    )


def test_version_and_bare_call(hubbub: Run) -> None:
    """`--version` prints the version, `--help` ends with 0, and a call without a command ends with 2."""
    assert hubbub("--version").out == f"hubbub {__version__}\n"
    assert hubbub("--help").code == 0
    assert hubbub().code == 2


@pytest.mark.parametrize(
    "words",
    [
        "nosuch", "query", "query messages", "import", "import events --tenant acme",
        "query messages --tenant acme --from x --to y",
        "query mesages --tenant acme --from 2026-08-01 --to 2026-08-02", "tenants add", "serve --port x", "serve --port 0x1",
        "query messages --tenant acme --from 2026-08-02 --to 2026-08-01",
        "query messages --tenant acme --from 2026-08-01 --to 2026-08-02 --grain year",
        "query messages --tenant acme --from 2026-08-01 --to 2026-08-02 --where channel",
        "query messages --tenant acme --from 2026-08-01 --to 2026-08-02 --by nothing",
        "backfill --from 2026-08-01 --to 2026-08-02 --fact nothing", "backfill --from 2026-08-02 --to 2026-08-01",
        "verify --from 2026-08-02 --to 2026-08-01",
        "quarantine list --tenant acme --limit 0", "explain messages --tenant acme --from 2026-08-01 --to 2026-08-02 --limit 0",
    ],
)  # fmt: skip
def test_bad_usage_ends_with_2(loaded: Run, words: str) -> None:
    """Bad usage is explained on stderr, nothing is printed on stdout, and the command ends with 2."""
    ended = loaded(*words.split())
    assert (ended.code, ended.out) == (2, "")
    assert ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("query messages --tenant nobody --from 2026-08-01 --to 2026-08-02", "nobody"),
        ("import events missing.jsonl --tenant acme", "missing.jsonl"),
        ("import slack missing.zip --tenant acme", "missing.zip"),
        ("import events events.jsonl --tenant BAD!", "BAD!"),
        ("tenants add acme", "exists"),
        ("tenants add other --zone Mars/Base", "Mars/Base"),
        ("tenants set nobody --name x", "nobody"),
        ("keys revoke 0123", "0123"),
        ("keys rotate 0123", "0123"),
        ("keys add --tenant acme --scope all", "all"),
        ("keys add --tenant nobody", "nobody"),
        ("keys add", "admin"),
        ("refresh --tenant nobody", "nobody"),
        ("verify --tenant nobody", "nobody"),
        ("doctor --data events.jsonl/below", "events.jsonl"),
    ],
)
def test_failures_end_with_1_in_one_line(loaded: Run, words: str, said: str) -> None:
    """A failure is one line on stderr that names the cause; stdout stays empty, and the command ends with 1."""
    ended = loaded(*words.split(), "--json")
    assert (ended.code, ended.out) == (1, "")
    assert said in ended.err
    assert ended.err.startswith("hubbub: ")
    assert ended.err.count("\n") == 1


def test_json_has_the_keys_of_the_contract(loaded: Run) -> None:
    """Each command's JSON parses and has the keys that other programs read, and stderr is empty."""
    asked: dict[str, set[str]] = {
        "metrics": {"rows"},
        f"query messages {' '.join(SPAN)}": {"rows", "freshness"},
        f"explain messages {' '.join(SPAN)}": {
            "metric",
            "definition",
            "value",
            "formula",
            "parts",
            "windows",
            "events",
        },
        "dashboard --tenant acme": {"tenant", "zone", "day", "today", "now"},
        f"trends {' '.join(SPAN)}": {"rows"},
        f"hotspots {' '.join(SPAN)}": {"rows"},
        "tenants list": {"rows"},
        "tenants add other --zone Europe/Rome": {"tenant", "zone", "name", "retention"},
        "tenants set other --retention-raw 7": {"tenant", "zone", "name", "retention"},
        "keys add --tenant acme": {"id", "key", "tenant", "scopes", "expires_at"},
        "keys list": {"rows"},
        "quarantine list --tenant acme": {"rows"},
        "quarantine replay --tenant acme": {"accepted", "duplicates", "rejected"},
        "refresh": {"events", "units", "errors"},
        "backfill --from 2026-08-01 --to 2026-08-02": {"folded", "units", "errors"},
        "verify": {"clean", "units", "rows", "differences", "by_table", "examples"},
        "retention --dry-run": {"rows", "dry_run"},
        "snapshot --kind daily --date 2026-08-01": {"processed", "created", "errors"},
        f"snapshots list {' '.join(SPAN)} --kind daily": {"rows"},
        "config show": {"rows"},
        "config check": {"ok"},
    }
    for words, keys in asked.items():
        ended = loaded(*words.split(), "--json")
        assert ended.code == 0, (words, ended.err)
        assert keys <= set(ended.told), (words, ended.out[:300])
        assert ended.err == "", words


def test_tables_write_lists_and_mappings_in_words(loaded: Run) -> None:
    """Cells of tables have no brackets or quotes of JSON."""
    loaded("keys", "add", "--tenant", "acme")
    assert "ingest, read" in loaded("keys", "list").out
    tenants = loaded("tenants", "list").out
    assert "day –" in tenants and "{" not in tenants and "[" not in tenants


def test_the_same_answers_as_tables(loaded: Run) -> None:
    """Without `--json` every command that answers prints a table and ends with 0."""
    for words in (
        "metrics", f"query messages response_ms.p50 {' '.join(SPAN)} --by channel --compare previous",
        f"explain csat {' '.join(SPAN)}",
        "dashboard --tenant acme", f"trends {' '.join(SPAN)}", f"hotspots {' '.join(SPAN)}", "tenants list", "keys list",
        "quarantine list --tenant acme", "refresh", "verify", "retention --dry-run", "config show", "config check",
        "snapshot --tenant acme", "snapshot --kind monthly", f"snapshots list {' '.join(SPAN)}",
    ):  # fmt: skip
        ended = loaded(*words.split())
        assert (ended.code, bool(ended.out)) == (0, True), (words, ended.err)


def test_query_prints_rows_as_the_contract_says(loaded: Run) -> None:
    """A row has its window in the tenant's zone, dimensions and metrics; filters, splits and comparisons apply."""
    (row,) = loaded("query", "messages", "response_ms.p50", *SPAN, "--grain", "day", "--by", "channel", "--json").told[
        "rows"
    ]
    assert row == {"window": "2026-08-01T00:00:00+00:00", "channel": "sms", "messages": 2, "response_ms.p50": 300_000}
    (none,) = loaded("query", "messages", *SPAN, "--where", "channel=mail", "--json").told["rows"]
    assert none["messages"] == 0
    either = loaded("query", "messages", *SPAN, "--where", "channel=mail", "--where", "channel=sms", "--json").told[
        "rows"
    ]
    assert either[0]["messages"] == 2
    (compared,) = loaded("query", "messages", *SPAN, "--compare", "previous", "--json").told["rows"]
    assert compared["compare"]["messages"]["previous"] == 0


def test_snapshots_are_made_and_listed(loaded: Run) -> None:
    """`snapshots list` returns the snapshots that `snapshot` made; an impossible period ends with 2 and an error."""
    made = loaded("snapshot", "--tenant", "acme", "--date", "2026-08-01", "--json").told
    assert (made["processed"], made["created"], made["rows"][0]["messages"]["total"]) == (1, 1, 2)
    listed = loaded("snapshots", "list", *SPAN, "--kind", "daily", "--account", "", "--json").told["rows"]
    assert listed == made["rows"]
    for words in ("--kind yearly", "--date 2099-01-01", "--date tomorrow"):
        ended = loaded("snapshot", "--tenant", "acme", *words.split())
        assert (ended.code, ended.out) == (2, "") and ended.err.startswith("hubbub: ")


def test_the_catalogue_is_complete(hubbub: Run) -> None:
    """`hubbub metrics` lists each metric once, without opening a data folder."""
    rows = hubbub("metrics", "--json").told["rows"]
    assert [r["name"] for r in rows] == list(METRICS)
    assert not Path("hubbub-data").exists()


def test_doctor_gives_advice_for_a_failed_check(loaded: Run) -> None:
    """With refused records doctor names the check with advice and ends with 1; without any it ends with 0."""
    ended = loaded("doctor", "--json")
    rows = {r["check"]: r for r in ended.told["rows"]}
    assert (ended.code, rows["quarantine"]["ok"]) == (1, False)
    assert "hubbub quarantine list" in rows["quarantine"]["advice"]
    assert rows["store"]["ok"] and rows["disk"]["ok"] and rows["freshness"]["ok"]
    assert loaded("tenants", "add", "fresh", "--data", "other", "--json").code == 0
    well = loaded("doctor", "--data", "other", "--json")
    assert (well.code, all(r["ok"] for r in well.told["rows"])) == (0, True)


def test_config_show_names_every_setting_and_no_password(hubbub: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each setting is listed with value, variable and meaning; the password inside a URL is not shown."""
    monkeypatch.setenv("HUBBUB_CONTROL_URL", "postgresql://hub:canary-word@db.example.org/hub")
    monkeypatch.setenv("HUBBUB_PORT", "9000")
    ended = hubbub("config", "show", "--json")
    rows = {r["setting"]: r for r in ended.told["rows"]}
    assert list(rows) == list(Settings.model_fields)
    assert all(r["meaning"] and r["variable"] == f"HUBBUB_{name.upper()}" for name, r in rows.items())
    assert rows["port"]["value"] == "9000"
    assert "hub:***@db.example.org" in rows["control_url"]["value"]
    assert "canary-word" not in ended.out


@pytest.mark.parametrize("name", ["hubbub.yaml", "hubbub-data/hubbub.yaml"])
@pytest.mark.parametrize("text", ["port: many", "prot: 1", "a: [", "log_level: loud", "default_zone: Mars/Base"])
def test_config_check_ends_with_1(hubbub: Run, monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    """A bad value, an unknown setting and invalid YAML are errors on stderr, with exit code 1."""
    monkeypatch.delenv("HUBBUB_MEMORY_LIMIT")  # it would win over the file
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).write_text(text)
    ended = hubbub("config", "check")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("hubbub: ")
    assert text.split(":")[0] in ended.err or "YAML" in ended.err


@pytest.mark.parametrize(
    "text",
    ['{hourly_message_counts: "0 0 31 2 *"}', '{retention: "61 * * * *"}', '{nightly: "0 0 * * *"}'],
)
@pytest.mark.parametrize("command", [("config", "check"), ("serve", "--port", "1"), ("tenants", "list"), ("worker",)])
def test_a_schedule_that_cannot_work_is_refused_everywhere(hubbub: Run, text: str, command: tuple[str, ...]) -> None:
    """No command starts with a schedule that `config check` refuses: a day that never comes, a bad cron, an unknown name."""
    Path("hubbub.yaml").write_text(f"schedules: {text}")
    ended = hubbub(*command)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("hubbub: schedules")
    assert text[1:].split(":")[0] in ended.err
    assert ended.err.count("\n") == 1


def test_a_key_is_shown_once(loaded: Run) -> None:
    """A key's text is printed when it is made, and in no list."""
    made = loaded("keys", "add", "--tenant", "acme", "--label", "desk", "--scope", "read", "--json").told
    assert made["key"].startswith(f"hub_live_{made['id']}_")
    assert made["scopes"] == ["read"]
    listed = loaded("keys", "list", "--json")
    assert made["key"][-30:] not in listed.out
    assert loaded("keys", "revoke", made["id"], "--json").told["revoked_at"]


def test_a_key_is_rotated(loaded: Run) -> None:
    """The new key has the old key's scopes and is shown once; the old key ends after the overlap."""
    old = loaded("keys", "add", "--tenant", "acme", "--scope", "read", "--json").told
    new = loaded("keys", "rotate", old["id"], "--overlap", "60", "--json").told
    assert new["key"].startswith(f"hub_live_{new['id']}_")
    assert (new["scopes"], new["replaces"]["id"]) == (["read"], old["id"])
    assert new["replaces"]["expires_at"] > new["created_at"]


def test_retention_of_a_tenant_is_set_by_grain(loaded: Run) -> None:
    """Retention is set in days by grain; 0 keeps everything, and grains that are not given stay."""
    told = loaded("tenants", "add", "t", "--retention-raw", "7", "--retention-month", "0", "--json").told["retention"]
    assert told == {"raw": 7, "hour": 30, "day": 365, "week": 730, "month": None, "facts": 1095}
    told = loaded("tenants", "set", "t", "--retention-raw", "0", "--retention-day", "10", "--json").told["retention"]
    assert told == {"raw": None, "hour": 30, "day": 10, "week": 730, "month": None, "facts": 1095}


def test_commands_work_beside_another_process(loaded: Run) -> None:
    """Beside another process, commands count its events, and it sees their changes."""
    with open_engine(Path("hubbub-data")) as other:
        other.record("acme", {**EVENTS[0], "id": "m4"}, history=True)
        assert loaded("query", "messages", *SPAN, "--json").told["rows"][0]["messages"] == 3
        assert loaded("tenants", "set", "acme", "--name", "Acme", "--json").code == 0
        assert loaded("import", "events", "events.jsonl", "--tenant", "acme", "--json").told["duplicates"] == 2
        assert [one.name for one in other.tenants.of().rows] == ["Acme"]
        assert loaded("verify", "--json").told["clean"] and other.verify()["clean"]


def test_the_installed_program_has_the_same_exit_codes(tmp_path: Path) -> None:
    """The installed entry point, as a process, prints JSON on stdout and errors on stderr, and ends with 0 or 2."""

    def called(*words: str) -> subprocess.CompletedProcess[str]:
        program = "import sys; from hubbub.cli.main import run; sys.exit(run())"
        return subprocess.run(
            [sys.executable, "-c", program, *words], capture_output=True, text=True, cwd=tmp_path, check=False
        )

    good: Any = called("metrics", "--json")
    assert (good.returncode, good.stderr) == (0, "")
    assert json.loads(good.stdout)["rows"]
    bad = called("query", "messages")
    assert (bad.returncode, bad.stdout) == (2, "")
    assert "--tenant" in bad.stderr


def test_doctor_names_unfolded_batches_and_broken_integrations(hubbub: Run) -> None:
    """Doctor counts batches that are not folded, and names broken integrations with advice; without jobs it has no row."""
    hubbub("tenants", "add", "acme")
    assert "jobs" not in {row["check"] for row in hubbub("doctor", "--json").told["rows"]}
    with open_engine(Path("hubbub-data")) as engine:
        row = engine.integrations.add("acme", "facebook_page", "token", "Page", {"page_id": "7"})
        one = engine.integration_store.get("acme", row.id)
        engine.integration_store.broken(one, "the token is expired", "Give it a new token")
        engine.record("acme", EVENTS[0], history=True)
        engine.jobs.start("trend-aggregation", {}, job="stuck")
        engine.jobs.cancel("stuck")
    told = {row["check"]: row for row in hubbub("doctor", "--json").told["rows"]}
    assert not told["freshness"]["ok"] and told["freshness"]["found"].startswith("1 batches in the log")
    assert "hubbub refresh" in told["freshness"]["advice"]
    assert not told["integrations"]["ok"] and "acme: the token is expired" in told["integrations"]["found"]
    assert "Give it a new token" in told["integrations"]["advice"] and row.id in told["integrations"]["advice"]
    assert (told["jobs"]["ok"], told["jobs"]["found"]) == (
        True,
        "none is parked, none failed in the last 7 days",
    )


@pytest.mark.parametrize("ended", ["failed", "parked"])
def test_doctor_counts_failed_jobs(hubbub: Run, monkeypatch: pytest.MonkeyPatch, ended: str) -> None:
    """Doctor counts failed and parked jobs, and names the commands that show and retry them."""
    hubbub("tenants", "add", "acme")
    monkeypatch.setattr(
        "hubbub.services.jobs.JobService.unfinished", lambda *_: {"failed": 0, "parked": 0} | {ended: 3}
    )
    told = {row["check"]: row for row in hubbub("doctor", "--json").told["rows"]}
    assert (told["jobs"]["ok"], told["jobs"]["found"]) == (False, f"3 {ended}")
    assert "hubbub jobs retry" in told["jobs"]["advice"]
