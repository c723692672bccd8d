"""A Facebook page and a Slack workspace on the loopback interface, with answers shaped like the real ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.services import Call, Reply

TOKEN = "canary-token-9c41"


def graph_error(code: int, status: int = 400, **more: Any) -> Reply:
    """Return an error as the Graph API writes it."""
    headers = more.pop("headers", {})
    error = {
        "message": f"(#{code}) told about {TOKEN}",
        "type": "OAuthException",
        "code": code,
        "fbtrace_id": "A",
        **more,
    }
    return Reply({"error": error}, status, headers)


def post(id_: str, created: int, **counts: int) -> dict[str, Any]:
    """Return a post of the Graph API; `created` in seconds since 1970, counts of comments, shares and reactions."""
    return {"id": id_, "created": created, "status_type": "added_photos", **counts}


@dataclass
class Graph:
    """A page: its posts, its insights, and errors for the next answers."""

    posts: list[dict[str, Any]] = field(default_factory=list)
    insights: list[dict[str, Any]] = field(default_factory=list)
    errors: list[Reply] = field(default_factory=list)
    page: int = 2

    def __call__(self, call: Call) -> Reply:
        """Answer a call."""
        if self.errors:
            return self.errors.pop(0)
        if call.headers.get("authorization") != f"Bearer {TOKEN}":
            return graph_error(190, 401, error_subcode=463)
        if call.path.endswith("/insights"):
            wanted = call.query["metric"].split(",")
            return Reply(
                {
                    "data": [one for one in self.insights if one["name"] in wanted],
                    "paging": {"next": "https://x/?since=1"},
                }
            )
        since, until = int(call.query["since"]), int(call.query["until"])
        found = [one for one in self.posts if since <= one["created"] <= until]
        start = int(call.query.get("after", 0))
        size = min(self.page, int(call.query["limit"]))
        paging = {"cursors": {"before": "x", "after": str(start + size)}}
        if start + size < len(found):
            paging["next"] = f"https://evil.example/steal?access_token={TOKEN}&after={start + size}"  # type: ignore[assignment]
        return Reply({"data": [_told(one) for one in found[start : start + size]], "paging": paging})


def _told(one: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "id": one["id"], "status_type": one["status_type"],
        "created_time": datetime.fromtimestamp(one["created"], UTC).strftime("%Y-%m-%dT%H:%M:%S+0000"),
        "comments": {"data": [], "summary": {"total_count": one.get("comments", 0)}},
        "reactions": {"data": [], "summary": {"total_count": one.get("reactions", 0)}},
    }  # fmt: skip
    if one.get("shares"):
        told["shares"] = {"count": one["shares"]}
    return told


def insight(name: str, **values: Any) -> dict[str, Any]:
    """Return an insight with values by the date on which their day ended, written like d2026_08_02."""
    told = [{"value": v, "end_time": f"{day[1:].replace('_', '-')}T07:00:00+0000"} for day, v in values.items()]
    return {"name": name, "period": "day", "values": told, "title": "t", "id": f"1/insights/{name}/day"}


@dataclass
class Workspace:
    """A workspace: messages by channel name, as in an export, and errors for the next answers."""

    channels: dict[str, list[dict[str, Any]]]
    errors: list[Reply] = field(default_factory=list)
    page: int = 3
    posted: list[dict[str, Any]] = field(default_factory=list)
    strangers: tuple[str, ...] = ()
    users: list[Any] = field(default_factory=list)
    ids: dict[str, str] = field(default_factory=dict)
    scopes: frozenset[str] = frozenset({"users:read"})

    def __call__(self, call: Call) -> Reply:
        """Answer a call."""
        if self.errors:
            return self.errors.pop(0)
        if call.headers.get("authorization") != f"Bearer {TOKEN}":
            return Reply({"ok": False, "error": "invalid_auth"})
        method: Callable[[dict[str, Any]], Reply] = getattr(self, call.path.rpartition("/")[2].replace(".", "_"))
        return method(call.told)

    def conversations_list(self, asked: dict[str, Any]) -> Reply:
        """List the channels."""
        found = [{"id": id_, "name": name, "is_member": name in self.channels} for name, id_ in self._ids().items()]
        return self._page("channels", found, asked)

    def users_list(self, asked: dict[str, Any]) -> Reply:
        """List the people, if the token may read them."""
        if "users:read" not in self.scopes:
            return Reply({"ok": False, "error": "missing_scope", "needed": "users:read"})
        return self._page("members", self.users, asked)

    def _ids(self) -> dict[str, str]:
        names = [*self.channels, *self.strangers]
        return {name: self.ids.get(name, f"C{n:04}") for n, name in enumerate(names)}

    def _messages(self, asked: dict[str, Any]) -> list[dict[str, Any]]:
        return self.channels[next(name for name, id_ in self._ids().items() if id_ == asked["channel"])]

    def conversations_history(self, asked: dict[str, Any]) -> Reply:
        """Return messages that are not only replies, newest first, between `oldest` and `latest`."""
        inclusive = asked.get("inclusive") in ("1", 1, True, "true")
        low, high = float(asked["oldest"]), float(asked["latest"])
        found = [
            m for m in self._messages(asked)
            if (low <= float(m["ts"]) <= high if inclusive else low < float(m["ts"]) < high)
            and (m.get("thread_ts") in (None, m["ts"]) or m.get("subtype") == "thread_broadcast")
        ]  # fmt: skip
        return self._page("messages", sorted(found, key=lambda m: -float(m["ts"])), asked)

    def conversations_replies(self, asked: dict[str, Any]) -> Reply:
        """Return a thread, its root first."""
        found = [m for m in self._messages(asked) if asked["ts"] in (m["ts"], m.get("thread_ts"))]
        return self._page("messages", sorted(found, key=lambda m: float(m["ts"])), asked)

    def chat_postEphemeral(self, asked: dict[str, Any]) -> Reply:  # noqa: N802 - Slack's name
        """Record a message for one person."""
        self.posted.append(asked)
        return Reply({"ok": True, "message_ts": "1.1"})

    def _page(self, name: str, found: list[dict[str, Any]], asked: dict[str, Any]) -> Reply:
        start = int(asked.get("cursor") or 0)
        end = start + min(self.page, int(asked.get("limit", 100)))
        cursor = str(end) if end < len(found) else ""
        return Reply(
            {"ok": True, name: found[start:end], "has_more": bool(cursor), "response_metadata": {"next_cursor": cursor}}
        )
