"""Settings: defaults, then `hubbub.yaml` (in the data folder or the current one), then HUBBUB_* variables, then flags.

Every field has a default that works and a description that `hubbub config show` prints.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from hubbub.errors import BadInputError, BadSettingError
from hubbub.model.configuration import translated
from hubbub.model.tenant import check_zone, longest
from hubbub.yaml_file import read_yaml

COPIES = ("clickhouse://", "clickhouses://", "chdb://")
"""Schemes of ClickHouse URLs: over HTTP, over HTTPS, or in this process for tests."""
LOG_LEVELS = ("debug", "info", "warning", "error")
_HOST = re.compile(r"https?://[A-Za-z0-9._~-]+(:\d{1,5})?|https?://\[[0-9a-fA-F:]+\](:\d{1,5})?")
_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+")
_OUR_PATHS = (
    "t",
    "s",
    "v1",
    "operate",
    "static",
    "problems",
    "sign-in",
    "sign-out",
    "healthz",
    "readyz",
    "metrics",
    "docs",
)
_KEY = re.compile(r"[0-9a-fA-F]{64}\Z")


class RetentionDays(BaseModel):
    """Retention of a new tenant in days; each tenant can have its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    raw: int | None = Field(90, ge=1, description="Texts and other attributes of events.")
    hour: int | None = Field(30, ge=1, description="Numbers by the hour.")
    day: int | None = Field(365, ge=1, description="Daily snapshots.")
    week: int | None = Field(730, ge=1, description="Weekly snapshots.")
    month: int | None = Field(1095, ge=1, description="Monthly snapshots.")
    facts: int | None = Field(1095, ge=1, description="Facts; if absent, the longest of hour, day, week and month.")

    @model_validator(mode="after")
    def _facts_as_long(self) -> RetentionDays:
        if "facts" not in self.model_fields_set:
            days = {"hour": self.hour, "day": self.day, "week": self.week, "month": self.month}
            object.__setattr__(self, "facts", longest(days))
        return self


class Ai(BaseModel):
    """The endpoint that writes replies: any with OpenAI's chat completions."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field("", description="Base address, like https://api.example.com/v1; empty: no replies are written.")
    key: SecretStr = Field(SecretStr(""), description="Key, sent as a bearer token; empty for none.")
    model: str = Field("", description="Name of the model.")
    timeout: float = Field(60.0, gt=0, le=600, description="Longest wait for an answer, in seconds.")
    price_in: float = Field(0.0, ge=0, description="Price of a million input tokens, for budgets.")
    price_out: float = Field(0.0, ge=0, description="Price of a million output tokens, for budgets.")


REPORT_FORMATS = ("json", "csv", "xlsx", "html", "pdf")


class Reports(BaseModel):
    """Reports as files."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(True, description="Whether reports can be made.")
    formats: list[str] = Field(
        ["json", "csv", "xlsx", "html"], description="Formats of a report that does not name its own; pdf is an extra."
    )
    folder: Path | None = Field(None, description="Folder of reports; empty: 'reports' in the data folder.")

    @field_validator("formats")
    @classmethod
    def _known_formats(cls, formats: list[str]) -> list[str]:
        if not formats or not set(formats) <= set(REPORT_FORMATS):
            raise ValueError(f"name some of {', '.join(REPORT_FORMATS)}")
        return formats


MAIL_SECURITY = ("starttls", "tls", "none")


class Mail(BaseModel):
    """The SMTP server for alerts and digests."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field("", description="Host of the server; empty: no mail is sent.")
    port: int = Field(587, ge=1, le=65535, description="Its port.")
    security: str = Field("starttls", description="starttls, tls (from the first byte), or none.")
    user: str = Field("", description="User to sign in as; empty: no sign-in.")
    password: SecretStr = Field(SecretStr(""), description="Password of the user.")
    sender: str = Field("", description="From address, like hubbub@hotel.example.")

    @model_validator(mode="after")
    def _whole(self) -> Mail:
        if self.security not in MAIL_SECURITY:
            raise ValueError(f"security: not one of {', '.join(MAIL_SECURITY)}")
        if self.host and "@" not in self.sender:
            raise ValueError("sender: set the From address of mails, like hubbub@hotel.example")
        if self.user and self.security == "none":
            raise ValueError("security: a password is sent only over starttls or tls")
        return self


class Collection(BaseModel):
    """Collection of events."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(True, description="If false, events are refused with 503, and senders keep them.")
    batch_size: int = Field(100, ge=1, le=10_000, description="Events that hubbub.Client sends at once.")
    flush_interval: float = Field(5, ge=0, le=3600, description="Most seconds that an event waits in hubbub.Client.")


class Aggregation(BaseModel):
    """The published tables."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(True, description="If false, published tables are written only on request.")


class CacheTiers(BaseModel):
    """Longest time that a server caches answers; a change of their facts drops them earlier."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(True, description="If false, every answer is computed on request.")
    realtime: float = Field(30, ge=0, le=86_400, description="Seconds that answers to questions are cached.")
    dashboard: float = Field(60, ge=0, le=86_400, description="Seconds that a dashboard of today is cached.")
    period: float = Field(300, ge=0, le=86_400, description="Seconds that answers about several days are cached.")
    snapshots: float = Field(3600, ge=0, le=86_400, description="Seconds that lists of snapshots are cached.")
    size_mb: int = Field(64, ge=0, le=1 << 20, description="Most memory for cached answers of all tenants, in MB.")


class Limits(BaseModel):
    """Requests of one API key and work of one tenant in one process; 0 is no limit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reads: float = Field(100, ge=0, le=1e6, description="Requests a second, except those that store events.")
    ingests: float = Field(5000, ge=0, le=1e6, description="Requests a second that store events.")
    events: float = Field(5_000, ge=0, le=1e9, description="Events a second of one tenant.")
    megabytes: float = Field(20, ge=0, le=1e6, description="MB of request bodies a second of one tenant.")
    seconds: float = Field(0.5, ge=0, le=1e3, description="Seconds of processor time a second of one tenant.")
    burst: float = Field(2, ge=1, le=3600, description="Seconds' worth of requests that may be sent at once.")


class Settings(BaseSettings):
    """All settings. Their names are those of environment variables without HUBBUB_, in lower case."""

    model_config = SettingsConfigDict(env_prefix="HUBBUB_", env_nested_delimiter="__", extra="forbid", frozen=True)

    data: Path = Field(Path("hubbub-data"), description="Folder with all data of one installation.")
    store_url: str = Field(
        "",
        description="Where events live: empty for the data folder, or postgresql://…, and control data and jobs with them; or "
        "clickhouse://user:password@host:8123/database for a copy of the facts of the PostgreSQL that 'control_url' names.",
    )
    control_url: str = Field(
        "", description="Where tenants and keys live: empty for where events live, or postgresql://…."
    )
    jobs_url: str = Field("", description="Where jobs live: empty for where events live, or postgresql://….")
    cache_url: str = Field("mem://", description="Cache of answers: mem:// for this process, or redis://host:6379/0.")
    cache: CacheTiers = Field(default_factory=CacheTiers.model_construct, description="How long answers are cached.")
    collection: Collection = Field(default_factory=Collection.model_construct, description="How events are collected.")
    aggregation: Aggregation = Field(default_factory=Aggregation.model_construct, description="The published tables.")
    schedules: dict[str, str] = Field(
        {}, description="Crons (UTC) by the name of the schedule that they change, like daily-snapshots: '30 1 * * *'."
    )
    host: str = Field("127.0.0.1", description="Address that 'hubbub serve' listens on.")
    port: int = Field(8321, ge=1, le=65535, description="Port that 'hubbub serve' listens on.")
    public_url: str = Field(
        "",
        description="Public address, like https://stats.example.com; empty: http and this host and port.",
    )
    base_path: str = Field(
        "",
        description="Path under which a proxy serves it, like /stats of https://host/stats/; empty: the root of the host.",
    )
    free_floor_mb: int = Field(256, ge=0, description="Free disk space below which events are refused with 507.")
    max_body_mb: int = Field(10, ge=1, description="Largest request body, also after decompression.")
    max_batch: int = Field(10_000, ge=1, description="Most events in one request.")
    refresh_seconds: float = Field(1.0, gt=0, description="Pause between refreshes while the server runs.")
    default_zone: str = Field("UTC", description="Zone of tenants that are created without one.")
    limits: Limits = Field(
        default_factory=Limits.model_construct,
        description="How many requests an API key may send, and how much work it may cause.",
    )
    retention: RetentionDays = Field(
        default_factory=lambda: RetentionDays.model_validate({}), description="Retention of new tenants."
    )
    secret_key: SecretStr = Field(
        SecretStr(""),
        description="Key of stored secrets and API keys, 64 hexadecimal digits; empty: files of the data folder.",
    )
    allow_private_hosts: list[str] = Field(
        [], description="Private hosts that Hubbub may call, like model.lan:8080; all others are refused."
    )
    ai: Ai = Field(default_factory=Ai.model_construct, description="The endpoint that writes suggested replies.")
    reports: Reports = Field(default_factory=Reports.model_construct, description="Reports as files.")
    mail: Mail = Field(default_factory=Mail.model_construct, description="The SMTP server for alerts and digests.")
    log_level: str = Field("info", description="debug, info, warning or error.")

    def address(self, path: str) -> str:
        """Return the public address of a path of this server."""
        return (self.public_url or f"http://{self.host}:{self.port}") + self.base_path + path

    @field_validator("public_url")
    @classmethod
    def _plain_host(cls, url: str) -> str:
        if url and not _HOST.fullmatch(url.rstrip("/")):
            raise ValueError("write a scheme and a host, like https://stats.example.com; a path goes into base_path")
        return url.rstrip("/")

    @field_validator("store_url")
    @classmethod
    def _known_store(cls, url: str) -> str:
        if url and not url.startswith(("postgresql://", *COPIES)):
            raise ValueError(
                "events live in the data folder (leave it empty) or in PostgreSQL, like postgresql://user@host/database, or there "
                "with a copy of their facts in ClickHouse, like clickhouse://user:password@host:8123/hubbub"
            )
        return url

    @field_validator("control_url")
    @classmethod
    def _known_control(cls, url: str) -> str:
        if url and not url.startswith(("sqlite:", "postgresql")):
            raise ValueError("only SQLite and Postgres hold control data, like sqlite:////var/lib/hubbub/control.db")
        return url

    @field_validator("jobs_url")
    @classmethod
    def _known_jobs(cls, url: str) -> str:
        if url and not url.startswith(("sqlite:///", "postgresql://")):
            raise ValueError("only SQLite and Postgres hold jobs, like postgresql://user@host/database")
        return url

    @field_validator("cache_url")
    @classmethod
    def _known_cache(cls, url: str) -> str:
        if url != "mem://" and not url.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("only memory (mem://) and Redis cache answers, like redis://localhost:6379/0")
        return url

    @field_validator("base_path")
    @classmethod
    def _plain_path(cls, path: str) -> str:
        if path.rstrip("/") and not _PATH.fullmatch(path.rstrip("/")):
            raise ValueError("write a path of letters, digits, - . _ and ~, like /stats")
        if path.rstrip("/") and path.split("/")[1] in _OUR_PATHS:
            raise ValueError(f"/{path.split('/')[1]} is one of Hubbub's own addresses: take another path, like /stats")
        return path.rstrip("/")

    @field_validator("secret_key")
    @classmethod
    def _whole_key(cls, key: SecretStr) -> SecretStr:
        if key.get_secret_value() and not _KEY.match(key.get_secret_value()):
            raise ValueError("write 64 hexadecimal digits, like 'openssl rand -hex 32' prints")
        return key

    @field_validator("default_zone")
    @classmethod
    def _known_zone(cls, zone: str) -> str:
        try:
            return check_zone(zone)
        except BadInputError:
            raise ValueError("not an IANA time zone, like Europe/Rome or UTC") from None

    @field_validator("log_level")
    @classmethod
    def _known_level(cls, level: str) -> str:
        if level.lower() not in LOG_LEVELS:
            raise ValueError(f"not one of {', '.join(LOG_LEVELS)}")
        return level.lower()

    @model_validator(mode="after")
    def _copied_from(self) -> Settings:
        if self.copy_address and not self.control_url.startswith("postgresql://"):
            raise ValueError(
                "store_url: ClickHouse holds a copy of facts that live in PostgreSQL: name that as control_url, like "
                "postgresql://user@host/database"
            )
        return self

    @property
    def copy_address(self) -> str:
        """The URL of the copy in ClickHouse; empty without a copy."""
        return self.store_url if self.store_url.startswith(COPIES) else ""

    @property
    def facts_address(self) -> str:
        """The URL of events and facts; empty if they are in the data folder."""
        return self.control_url if self.copy_address else self.store_url

    @property
    def control_address(self) -> str:
        """The URL of control data."""
        return self.control_url or self.store_url or f"sqlite:///{self.data / 'control.db'}"

    @property
    def jobs_address(self) -> str:
        """The URL of jobs."""
        return self.jobs_url or self.facts_address or f"sqlite:///{(self.data / 'jobs.db').absolute()}"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources in order of precedence: flags, environment, YAML in the data folder, YAML in the current one."""
        flags: dict[str, Any] = init_settings()
        folder = Path(flags.get("data") or env_settings().get("data") or "hubbub-data")
        from_files: dict[str, Any] = {}
        for file in (Path("hubbub.yaml"), folder / "hubbub.yaml"):
            from_files |= _read(file)
        return init_settings, env_settings, InitSettingsSource(settings_cls, from_files)


def _read(file: Path) -> dict[str, Any]:
    """Return the settings of a file; empty without one. Raises BadSettingError."""
    if not file.is_file():
        return {}
    try:
        content = read_yaml(file)
        if content is None:
            return {}
        if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
            raise ValueError("must be a mapping from setting to value")
        return translated(content)
    except yaml.YAMLError as error:
        raise BadSettingError(f"{file} is not YAML: {' '.join(str(error).split())}") from None
    except (OSError, ValueError) as error:
        raise BadSettingError(f"{file}: {error} (see 'hubbub config show' for all settings)") from None


def load(data: Path | None = None, **flags: Any) -> Settings:
    """Read settings; flags that are None are ignored. Raises BadSettingError with the setting and the reason."""
    values = {k: v for k, v in {"data": data, **flags}.items() if v is not None}
    try:
        return Settings(**values)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'settings'}: {e['msg']}" for e in error.errors())
        raise BadSettingError(f"{faults} (see 'hubbub config show' for all settings)") from None
    except SettingsError as error:
        raise BadSettingError(f"{error} (see 'hubbub config show' for all settings)") from None


def masked(value: str) -> str:
    """Return a setting's value without passwords of URLs."""
    return re.sub(
        r"(://[^:/@\s]*):[^@\s]*@|(password=)[^&\s]*", lambda m: f"{m[1]}:***@" if m[1] else f"{m[2]}***", value
    )


def documented(settings: BaseModel, above: str = "") -> list[dict[str, str]]:
    """Return all settings with value (without secrets) and meaning; settings of groups as `group.name`."""
    rows: list[dict[str, str]] = []
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            rows += documented(value, f"{above}{name}.")
        else:
            rows.append({"setting": f"{above}{name}", "value": masked(str(value)), "meaning": field.description or ""})
    return rows
