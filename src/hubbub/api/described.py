"""The application's description of itself: what its OpenAPI document says beyond what stands with the routes."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from hubbub.api.shapes import Problem

ABOUT = """\
Conversation analytics with exact, explainable numbers.

**Who asks.** `Authorization: Bearer <key>`. A key names its tenant and has scopes; the tenant never comes from the body. What
belongs to another tenant is not found, in the same words as what does not exist. An operator's key (scope `admin`, no tenant) is
for what concerns the installation.

**Problems** are RFC 9457 documents with a stable `code`; `type` leads to a page about it, and `request_id` is the header
`Request-Id` of every answer.

**Pages.** Lists answer `{"rows": [...], "next": cursor}`; send `next` as `cursor` for the page after, until it is null.

**Once.** POSTs that create take an `Idempotency-Key`: the same request with the same key within 24 hours is answered as before,
with the header `Idempotent-Replayed: true`, and not done again. The same key with another request is 422, a key whose request
is still being answered 409. Only what went well is remembered, and secrets are shown in the first answer alone.

**Limits** hold per key and process: headers `RateLimit-Policy` and `RateLimit` say what is left, and 429 with `Retry-After` when
to come back.
"""

TAGS = {
    "events": "What happened, stored.",
    "metrics": "What can be asked.",
    "query": "Any metrics over any range.",
    "explain": "Where a number comes from.",
    "dashboard": "Today and now.",
    "trends": "Topics, tone and escalations over time.",
    "hotspots": "Channels that need attention.",
    "changes": "What a difference is made of.",
    "usual": "What is usual of a number.",
    "news": "What is unusual, worst first, with causes.",
    "conversations": "What stands behind the numbers.",
    "alerts": "What is watched.",
    "incidents": "What alerts found.",
    "restatements": "Closed numbers that changed later.",
    "subscriptions": "Digests that arrive by themselves.",
    "destinations": "Where messages go.",
    "messages": "What was sent to whom.",
    "snapshots": "Days, weeks and months, kept as documents.",
    "reports": "Files for people.",
    "calendar": "Business hours.",
    "targets": "Within how many minutes to answer and resolve.",
    "jobs": "Work in the background.",
    "ai": "Suggested replies.",
    "schedules": "When jobs start.",
    "integrations": "Accounts of other services.",
    "hooks": "Where services send what happens.",
    "coverage": "Which days of which source are there.",
    "labels": "Topics, tones and intents of texts.",
    "tenants": "Owners of data.",
    "keys": "Who may ask.",
    "names": "What ids are called.",
    "erase": "A contact, taken out of everything.",
    "erasures": "That it was done, and when.",
    "exports": "All that a tenant owns, to take away.",
    "problems": "What went wrong.",
    "health": "Whether it runs.",
}


class Described(FastAPI):
    """An application whose routes are tagged by their subject, the first word of their path."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document."""
        if self.openapi_schema is None:
            document = super().openapi()
            for path, methods in document["paths"].items():
                for operation in methods.values():
                    operation["tags"] = [_tag(path)]
            used = {operation["tags"][0] for methods in document["paths"].values() for operation in methods.values()}
            document["tags"] = [{"name": tag, "description": TAGS.get(tag, "")} for tag in sorted(used)]
            document["components"]["schemas"]["Problem"] = Problem.model_json_schema(mode="serialization")
        return self.openapi_schema or {}


def _tag(path: str) -> str:
    words = path.strip("/").split("/")
    return "health" if words[0] in ("healthz", "readyz") else words[1] if words[0] == "v1" else words[0]
