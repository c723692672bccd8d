"""Facebook pages through the Graph API: a day's posts with their counters, and the page's insights.

- A post is `content.published`; its comments, shares and reactions are `metric.observed`, dated by the post. Ids
  and names are those of `examples/facebook-live-sellers.yaml`, so a file and the live page do not count twice.
- A counter can go down, and has no time of its own: its revision is the moment it was read
  (milliseconds), so the last reading counts. `observes` skips counters that did not change.
- An insight is a number of one of Facebook's days, which end at midnight in California. It is known after that, so a day
  yields the insights that ended within it, each dated noon in California of the day it covers.
- Counters change for weeks, and some insights are late: `look_back` reads those of the last `COUNTED_DAYS` again.
- A metric unknown to Facebook is noted, and the others are stored; a page that is too large is requested with half the limit.
- Paging follows the cursor of the answer, never its `next` address, which holds the token and could lead anywhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from hubbub.clock import system_clock
from hubbub.control.integrations import Integration
from hubbub.errors import HubbubError, UpstreamRefusedError, UpstreamUnavailableError
from hubbub.ingest.connectors.base import Connector, Notes
from hubbub.ingest.setting import BASE_URL, SINCE, ZONE, Setting
from hubbub.model.coverage import Day
from hubbub.model.event import NOTHING, Event, Item
from hubbub.model.plain import JsonObject
from hubbub.model.window import Window
from hubbub.outgoing.http import LONGEST_WAIT, Answer

SOURCE = "facebook"
PAGE = 100
POST_FIELDS = (
    "id,created_time,status_type,shares,comments.limit(0).summary(total_count).filter(stream),"
    "reactions.limit(0).summary(total_count)"
)
METRICS = ("page_post_engagements", "page_views_total", "page_video_views", "page_follows")
MOST_PAGES = 10_000
COUNTED_DAYS = 28
"""Days after a post for which its counters are read again."""
TOO_MUCH, UNKNOWN_METRIC = 1, 100
"""Graph errors: too much data requested at once (among other meanings), and an unknown insight."""
_HIDDEN = {"access_token", "appsecret_proof"}

EXPIRED = "Reconnect the page: its token has expired or was revoked"
PERMISSION = "Reconnect the page and grant pages_read_engagement, pages_read_user_content and read_insights"
SETTINGS = "Check the page id and the metrics in the integration's settings"
BLOCKED = "Check the app's alerts at Facebook: Facebook restricts it for a breach of policy"

PASSING = frozenset({1, 2, 341})
"""Graph errors that are worth another try."""
LIMITED = frozenset({4, 17, 32, 613, *range(80000, 80015)})
"""Graph errors for too many calls."""
ACTIONS: dict[int, str] = {
    **dict.fromkeys((102, 190, 463, 467), EXPIRED), **dict.fromkeys((3, 10, *range(200, 300)), PERMISSION),
    **dict.fromkeys((21, 100, 803, 3001), SETTINGS), 368: BLOCKED,
}  # fmt: skip
"""Graph error -> what a person must do about it."""


class FacebookPage(Connector):
    """A Facebook page. Its secret is a page access token."""

    provider = "facebook_page"
    token = (
        "page access token with pages_read_engagement, pages_read_user_content and read_insights, to fetch days with"
    )
    subjects = frozenset({"content", "metric"})
    settings = (
        Setting("page_id", "number of the page", r"\d{1,30}", required=True, fixed=True),
        Setting("metrics", "insights to fetch", r"[a-z0-9_]{1,100}", many=True, default=list(METRICS)),
        ZONE,
        SINCE,
        Setting("base_url", "address of the Graph API", BASE_URL, default="https://graph.facebook.com/v24.0"),
    )
    observes = True

    @classmethod
    def dims(cls, integration: Integration) -> Mapping[str, frozenset[str]]:
        """Return Facebook's channel and the page."""
        page = str(integration.settings.get("page_id", ""))
        return {"channel": frozenset({"facebook"}), "account_id": frozenset({page})}

    def fetch(self, integration: Integration, secret: str, day: Day, notes: Notes) -> Iterator[list[Item]]:
        """Yield the day's posts with their counters, page by page, then the insights that ended on it."""
        return self._read(_Page(self, integration, secret), Window(day.start, day.end), notes)

    def look_back(self, integration: Integration, secret: str, since: Window, notes: Notes) -> Iterator[list[Item]]:
        """Yield posts and insights of the `COUNTED_DAYS` before a range, whose counters may have changed."""
        span = Window(since.start - timedelta(days=COUNTED_DAYS), since.start)
        return self._read(_Page(self, integration, secret), span, notes)

    def _read(self, page: _Page, span: Window, notes: Notes) -> Iterator[list[Item]]:
        now = int(system_clock().timestamp() * 1000)
        for posts in page.posts(span):
            if batch := [event for post in posts for event in post_events(post, page.id, span, now)]:
                yield list(batch)
        for insights in page.insights(self.setting(page.integration, "metrics"), span, notes):
            if batch := [event for series in insights for event in insight_events(series, page.id, span, now)]:
                yield list(batch)


@dataclass
class _Page:
    """A Facebook page being read."""

    connector: FacebookPage
    integration: Integration
    secret: str

    @property
    def id(self) -> str:
        """The page's id."""
        return str(self.integration.settings["page_id"])

    def posts(self, span: Window) -> Iterator[list[Any]]:
        """Yield the posts of a range with their counters."""
        bounds = {"since": int(span.start.timestamp()), "until": int(span.end.timestamp())}
        return self._pages("published_posts", {"fields": POST_FIELDS, "limit": PAGE, **bounds})

    def insights(self, metrics: Sequence[str], span: Window, notes: Notes) -> Iterator[list[Any]]:
        """Yield insights whose days may have ended in a range. When several are refused together, each is requested alone."""
        if not metrics:
            return
        # a day that ended within the range began before it
        bounds = {"since": int(span.start.timestamp()) - 2 * 86_400, "until": int(span.end.timestamp()) + 86_400}
        params = {"metric": ",".join(metrics), "period": "day", **bounds}
        try:
            yield from self._pages("insights", params, follow=False)
        except UpstreamRefusedError as error:
            if error.details.get("facebook") != UNKNOWN_METRIC:
                raise
            if len(metrics) > 1:
                for metric in metrics:
                    yield from self.insights([metric], span, notes)
                return
            notes.whole = False
            notes.remark(
                f"Facebook does not know the insight {metrics[0]} any more",
                "Connect the page again with known 'metrics'; all others are fetched",
            )

    def _pages(self, edge: str, params: dict[str, Any], *, follow: bool = True) -> Iterator[list[Any]]:
        url = f"{self.connector.setting(self.integration, 'base_url').rstrip('/')}/{self.id}/{edge}"
        seen: set[tuple[tuple[str, str], ...]] = set()
        for _ in range(MOST_PAGES):
            host, body, params = self._page(url, params)
            data = body.get("data")
            if not isinstance(data, list):
                raise UpstreamUnavailableError(f"{host} answered without 'data'")
            if data:
                yield data
            more = next_page(body) if follow else None
            if more is None:
                return
            if more in seen:
                raise UpstreamUnavailableError(f"{host} gave the same page twice")
            seen.add(more)
            params = {**params, **dict(more), **({"limit": params["limit"]} if "limit" in params else {})}
        raise UpstreamRefusedError(f"{edge} has more than {MOST_PAGES} pages", action="Ask for fewer days at a time")

    def _page(self, url: str, params: dict[str, Any]) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """Return host and body of a page, and its parameters; halves `limit` after an answer that was too large."""
        while True:
            try:
                headers = {"Authorization": f"Bearer {self.secret}"}
                answer = self.connector.http.send("GET", url, params=params, headers=headers)
                return answer.host, read(answer), params
            except (UpstreamUnavailableError, UpstreamRefusedError) as error:
                too_much = error.details.get("facebook") == TOO_MUCH or error.details.get("too_large")
                if not too_much or params.get("limit", 1) <= 1:
                    raise
                params = {**params, "limit": params["limit"] // 2}


def next_page(body: JsonObject) -> tuple[tuple[str, str], ...] | None:
    """Return the parameters of the next page, from its cursor or its `next` address; None after the last."""
    paging = body.get("paging")
    if not isinstance(paging, dict) or not isinstance(paging.get("next"), str):
        return None
    cursors = paging.get("cursors")
    if isinstance(cursors, dict) and isinstance(cursors.get("after"), str):
        return (("after", cursors["after"]),)
    query = tuple((k, v) for k, v in parse_qsl(urlsplit(paging["next"]).query) if k not in _HIDDEN)
    return query or None


def read(answer: Answer) -> dict[str, Any]:
    """Return the body of a good answer. Raises the error that a Graph error means, whatever the status."""
    body = answer.json() if answer.body.lstrip().startswith(b"{") else {}
    error = body.get("error")
    if isinstance(error, dict):
        raise meaning(error, answer)
    answer.checked()
    if not body:
        raise UpstreamUnavailableError(f"{answer.host} answered with something other than a JSON object")
    return dict(body)


def meaning(error: JsonObject, answer: Answer) -> HubbubError:
    """Return the error that a Graph error means: by its code, its `is_transient`, or the status.

    `details["facebook"]` is the code.
    """
    code = error.get("code")
    code = code if isinstance(code, int) else 0
    subcode = error.get("error_subcode")
    reason = f"Facebook: error {code}" + (f", subcode {subcode}" if isinstance(subcode, int) else "")
    if code in LIMITED or (code not in ACTIONS and answer.status == 429):
        return UpstreamUnavailableError(f"{reason}: too many calls", retry_after=_pause(answer), facebook=code)
    if code in PASSING or error.get("is_transient") is True or (code not in ACTIONS and answer.status >= 500):
        return UpstreamUnavailableError(reason, retry_after=answer.retry_after, facebook=code)
    kind = error.get("type") == "OAuthException" and answer.status == 401
    return UpstreamRefusedError(reason, action=ACTIONS.get(code, EXPIRED if kind else SETTINGS), facebook=code)


def _pause(answer: Answer) -> float | None:
    """Return the seconds until calls are allowed again: Facebook's own estimate (minutes, in a header), else Retry-After."""
    try:
        usage = json.loads(answer.headers.get("x-business-use-case-usage", "{}"))
        minutes = max(
            float(estimate["estimated_time_to_regain_access"]) for estimates in usage.values() for estimate in estimates
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        minutes = 0
    if minutes > 0:
        return min(minutes * 60, LONGEST_WAIT)
    if answer.retry_after is not None:
        return answer.retry_after
    try:
        usage = json.loads(answer.headers.get("x-app-usage", "{}"))
        full = max((float(share) for share in usage.values()), default=0) >= 100
    except (ValueError, TypeError, AttributeError):
        full = False
    return LONGEST_WAIT if full else None  # calls of an app are counted by the hour


def post_events(post: Any, page_id: str, span: Window, now: int) -> Iterator[Event]:
    """Yield a post and its counters, when it was published in a range."""
    time = moment(post.get("created_time")) if isinstance(post, dict) else None
    if time is None or not isinstance(post.get("id"), str) or not span.start <= time < span.end:
        return
    id_ = post["id"]
    common: dict[str, Any] = {
        "time": time, "source": SOURCE, "channel": "facebook", "account_id": page_id, "message_id": id_,
    }  # fmt: skip
    kind = post.get("status_type")
    about = msgspec.Raw(msgspec.json.encode({"kind": kind})) if isinstance(kind, str) else NOTHING
    yield Event(type="content.published", id=id_, attributes=about, **common)
    for name, value in {
        "num_comments": _inside(post, "comments", "summary", "total_count"),
        "num_shares": _inside(post, "shares", "count") or 0,  # absent when zero
        "num_reactions": _inside(post, "reactions", "summary", "total_count"),
    }.items():
        if value is not None:
            yield Event(type="metric.observed", id=f"{id_}:{name}", name=name, value=value, revision=now, **common)


def insight_events(series: Any, page_id: str, span: Window, now: int) -> Iterator[Event]:
    """Yield an insight's values whose day ended within a range; a value of several parts yields an event for each."""
    name = series.get("name") if isinstance(series, dict) else None
    if not isinstance(name, str) or series.get("period") != "day" or not isinstance(series.get("values"), list):
        return
    for entry in series["values"]:
        end = moment(entry.get("end_time")) if isinstance(entry, dict) else None
        if end is None or not span.start < end <= span.end:
            continue
        value = entry.get("value")
        parts = {f"{name}.{k}": v for k, v in value.items()} if isinstance(value, dict) else {name: value}
        for part, number in parts.items():
            if isinstance(number, int | float) and not isinstance(number, bool):
                yield Event(
                    type="metric.observed", time=end - timedelta(hours=12), source=SOURCE, name=part[:512], value=number,
                    id=f"{page_id}:{end:%Y-%m-%d}:{part}"[:512], channel="facebook", account_id=page_id, revision=now,
                )  # fmt: skip


def _inside(value: Any, *names: str) -> float | None:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def moment(text: object) -> datetime | None:
    """Read a Graph time like 2026-08-01T10:00:00+0000; None for anything else."""
    try:
        time = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z") if isinstance(text, str) else None
    except ValueError:
        return None
    return time.astimezone(UTC) if time else None
