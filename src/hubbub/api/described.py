"""The application's OpenAPI description, beyond the texts of the routes."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from starlette.routing import BaseRoute

from hubbub.api.shapes import Problem

ABOUT = """\
Conversation analytics with exact, explainable numbers.

**Keys.** `Authorization: Bearer <key>`. A key names its tenant and has scopes; the tenant never comes from the body. Data of
another tenant are answered like data that do not exist. An operator's key (scope `admin`, no tenant) is for the installation.

**Problems** are RFC 9457 documents with a stable `code`; `type` links to a page about it, and `request_id` is the header
`Request-Id` of every answer.

**Pages.** Lists answer `{"rows": [...], "next": cursor}`; send `next` as `cursor` for the next page, until it is null.

**Idempotency.** POSTs that create accept an `Idempotency-Key`: the same request with the same key within 24 hours gets the same
answer, with the header `Idempotent-Replayed: true`, and nothing is done twice. The same key with another request is 422, a key
whose request is still in progress 409. Only successes are remembered, and secrets are shown only in the first answer.

**Limits** apply to each key and process: headers `RateLimit-Policy` and `RateLimit` give the remaining budget, and 429 has
`Retry-After`.
"""

TAGS = {
    "events": "Storing events.",
    "metrics": "The catalogue of metrics.",
    "query": "Any metrics over any range.",
    "explain": "Numbers down to their events.",
    "dashboard": "Today and the present.",
    "trends": "Topics, tone and escalations over time.",
    "hotspots": "Channels that need attention.",
    "changes": "Contributions to a change.",
    "usual": "Usual ranges of numbers.",
    "news": "Unusual numbers, worst first, with causes.",
    "conversations": "Conversations and events behind the numbers.",
    "alerts": "Alert rules.",
    "incidents": "Incidents of alert rules.",
    "restatements": "Closed numbers that changed later.",
    "subscriptions": "Digests, sent on a schedule.",
    "destinations": "Addresses of messages.",
    "messages": "Sent and waiting messages.",
    "snapshots": "Days, weeks and months, stored as documents.",
    "reports": "Files for people.",
    "calendar": "Business hours.",
    "live": "Conversations that wait for a reply now.",
    "targets": "Minutes within which to answer or to resolve.",
    "rules": "Alert rules, digests and targets as one document.",
    "jobs": "Work in the background.",
    "ai": "Suggested replies.",
    "schedules": "Schedules of jobs.",
    "integrations": "Accounts of other services.",
    "hooks": "Webhooks of services.",
    "coverage": "Fetched and missing days of sources.",
    "labels": "Topics, tones and intents of texts.",
    "tenants": "Tenants, the owners of data.",
    "keys": "API keys.",
    "names": "Names of ids.",
    "erase": "Removing a contact from everything.",
    "erasures": "Erasures, with their time and result.",
    "exports": "All data of a tenant, for download.",
    "problems": "Meanings of problems.",
    "health": "State of the server.",
}


_documents: dict[tuple[int, ...], tuple[list[BaseRoute], dict[str, Any]]] = {}
"""Ids of route objects -> the routes, held so that no other object gets their ids, and their document."""


class Described(FastAPI):
    """An application whose routes are tagged by the first word of their path."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document. It takes seconds, so applications with the same routes share it."""
        if self.openapi_schema is None:
            routes = list(self.routes)
            ids = tuple(map(id, routes))
            if ids not in _documents:
                _documents[ids] = routes, self._described()
            self.openapi_schema = _documents[ids][1]
        return self.openapi_schema

    def _described(self) -> dict[str, Any]:
        document = super().openapi()
        operations = [operation for methods in document["paths"].values() for operation in methods.values()]
        for path, methods in document["paths"].items():
            for operation in methods.values():
                operation["tags"] = [_tag(path)]
        used = sorted({operation["tags"][0] for operation in operations})
        document["tags"] = [{"name": tag, "description": TAGS.get(tag, "")} for tag in used]
        document["components"]["schemas"]["Problem"] = Problem.model_json_schema(mode="serialization")
        return document


def _tag(path: str) -> str:
    words = path.strip("/").split("/")
    return "health" if words[0] in ("healthz", "readyz") else words[1] if words[0] == "v1" else words[0]
