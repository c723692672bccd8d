"""Posts of a Facebook page or an Instagram account: posts, comments, reactions.

A comment under a post opens a conversation with its replies. A post is `content.published`, with the same id as from the daily
connector. The connector reads counters of posts: a body reports a change, not the total.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from hubbub.ingest.receivers.base import Change, Options
from hubbub.ingest.receivers.fields import Fields, filled
from hubbub.model.name import Name

POSTS = ("post", "status", "photo", "video", "share", "link", "album", "event")


@dataclass
class Feed:
    """The events of posts read so far; `source` is facebook or instagram."""

    source: str
    options: Options
    events: list[dict[str, object]] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    names: list[Name] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)

    def see(self, page: str, change: Fields, sent: datetime | None) -> None:
        """Read a change of a page. `sent` is the time of the report: comments on Instagram have no time of their own."""
        name, value = change.text("field"), change.child("value")
        if name in ("comments", "live_comments"):
            self._comment(_Item(self.source, page, value, sent, "id", "media"))
        elif name != "feed":
            self.ignored[name or "unknown"] += 1
        elif value.text("item") == "comment":
            self._comment(_Item(self.source, page, value, sent, "comment_id", "post_id"))
        elif value.text("item") in ("reaction", "like"):
            self._reaction(_Item(self.source, page, value, sent, "comment_id", "post_id"))
        elif value.text("item") in POSTS and value.text("verb") in ("add", ""):
            self._post(_Item(self.source, page, value, sent, "post_id", "post_id"))
        else:
            self.ignored[f"{value.text('item') or 'feed'} {value.text('verb')}".strip()] += 1

    def _comment(self, item: _Item) -> None:
        verb = item.value.text("verb") or "add"
        text = (item.value.text("message") or item.value.text("text")) if self.options.keep_text else ""
        self._name(item)
        if verb == "add":
            self.events.append(item.message(filled(post=item.post, text=text)))
        elif verb in ("edited", "remove"):
            attributes = {"deleted": True} if verb == "remove" else {"edited": True, **filled(text=text)}
            moment = item.sent or item.value.moment("created_time")
            revision = int(moment.timestamp() * 1000) if moment else 1
            self.changes.append(Change(item.id, revision, {"attributes": attributes}, item.message({})))
        else:
            self.ignored[f"comment {verb}"] += 1

    def _reaction(self, item: _Item) -> None:
        if item.value.text("verb") == "remove":
            self.ignored["reaction taken back"] += 1
            return
        about = item.id or item.post
        kind = item.value.text("reaction_type") or item.value.text("item")
        self.events.append(filled(
            **item.common, type="message.reacted", id=f"{about}:{item.author}:{kind}" if about else "", message_id=about,
            contact_id=item.author, attributes={"reaction": kind},
        ))  # fmt: skip

    def _post(self, item: _Item) -> None:
        if not item.own:
            text = item.value.text("message") if self.options.keep_text else ""
            self._name(item)
            self.events.append(item.message(filled(post=item.post, text=text)))
            return
        self.events.append(filled(
            **item.common, type="content.published", id=item.post, message_id=item.post,
            attributes={"kind": item.value.text("item")},
        ))  # fmt: skip

    def _name(self, item: _Item) -> None:
        name = item.value.text("from", "name") or item.value.text("from", "username")
        if name and not item.own:
            self.names.append(Name("contact", item.author, name))


@dataclass(frozen=True, slots=True)
class _Item:
    """A comment, reaction or post. `named` and `under` are the fields of its own id and its post's."""

    source: str
    page: str
    value: Fields
    sent: datetime | None
    named: str
    under: str

    @property
    def id(self) -> str:
        return self.value.text(self.named)

    @property
    def post(self) -> str:
        return self.value.text(self.under, "id") or self.value.text(self.under)

    @property
    def author(self) -> str:
        return self.value.text("from", "id")

    @property
    def own(self) -> bool:
        """Whether the page itself wrote it."""
        return self.author == self.page

    @property
    def common(self) -> dict[str, object]:
        moment = self.value.moment("created_time") or self.sent
        return filled(
            time=moment.isoformat() if moment else None, source=self.source, channel=self.source, account_id=self.page
        )

    def message(self, about: dict[str, object]) -> dict[str, object]:
        """Return it as a message of the conversation of its top comment."""
        parent = self.value.text("parent_id")
        conversation = self.id if parent in ("", self.post) else parent
        return filled(
            **self.common, type="message.sent" if self.own else "message.received", id=self.id, message_id=self.id,
            conversation_id=conversation, contact_id="" if self.own else self.author, attributes=about or None,
        )  # fmt: skip
