"""What a recipient sees, as pictures: digests as mails, an incident in Slack, and the page that stops a digest.

A hotel of made-up messages lives in a folder of its own, under a clock that stands where each story needs it. What is drawn is
what Hubbub would send: the mail's own HTML, and the text of the Slack message by Slack's rules for `*bold*` and links.
"""

from __future__ import annotations

import random
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

from hubbub.alerts.deliver import Ways, as_mail, as_slack
from hubbub.alerts.notice import notice_of
from hubbub.app import Engine
from hubbub.settings import load

TENANT, ZONE = "hotel-aurora", "Europe/Rome"
BASE = "https://hubbub.hotel-aurora.example"
FIRST, WEEKS = datetime(2026, 1, 5, tzinfo=UTC), 10
USUAL = (14, 16, 15, 17, 18, 12, 11)
"""Messages of a day, Monday first."""
WIDTH = 700
FRAME = """<!doctype html><html lang="en"><meta charset="utf-8"><style>
body { margin: 0; padding: 16px; background: #e9ebee; font: 14px/1.45 "Segoe UI", Roboto, sans-serif; color: #1d1c1d }
.sheet { background: #fff; border: 1px solid #d5d8dc; border-radius: 8px; overflow: hidden }
.head { padding: 12px 16px; border-bottom: 1px solid #e3e5e8; color: #5b6169 } .head b { color: #1d1c1d }
.post { display: flex; gap: 10px; padding: 12px 16px } .post + .post { border-top: 1px solid #eef0f2 }
.post i { flex: none; width: 36px; height: 36px; border-radius: 6px; background: #2b6cb0 } .post p { margin: 0 }
.post a { color: #1264a3; text-decoration: none } small { color: #5b6169 }
</style>"""


@dataclass
class Hotel:
    """An engine on its own folder, with a clock that a story moves."""

    engine: Engine
    clock: list[datetime]
    dice: random.Random

    @property
    def now(self) -> datetime:
        """The moment at which the engine stands."""
        return self.clock[0]

    def talk(self, day: datetime, count: int) -> None:
        """Record conversations of a day: a message, its answer, the resolve."""
        events: list[dict[str, Any]] = []
        for n in range(count):
            at = day + timedelta(hours=7, minutes=self.dice.randrange(780))
            name = {"channel": self.dice.choice(("whatsapp", "whatsapp", "mail")), "conversation_id": f"{day:%m%d}-{n}"}
            reply, end = (
                at + timedelta(minutes=self.dice.randint(2, 14)),
                at + timedelta(minutes=self.dice.randint(15, 60)),
            )
            events += [
                {**name, "type": "message.received", "time": at, "id": f"q{day:%m%d}-{n}"},
                {**name, "type": "message.sent", "time": reply, "id": f"a{day:%m%d}-{n}"},
                {**name, "type": "conversation.resolved", "time": end, "id": f"r{day:%m%d}-{n}"},
            ]
        self.engine.record(TENANT, events, history=True)

    def documents(self) -> Iterator[tuple[Any, Any]]:
        """Yield the messages of the outbox, oldest first, each with its notice."""
        for row in reversed(self.engine.messages.of(TENANT).rows):
            message = self.engine.outbox.message(row.id)
            yield message, notice_of(message.document)


def _hotel(folder: Path) -> Hotel:
    """Open a hotel with ten weeks of usual days."""
    clock = [FIRST + timedelta(weeks=WEEKS)]
    engine = Engine(load(folder, free_floor_mb=0, public_url=BASE), lambda: clock[0])
    engine.add_tenant(TENANT, ZONE, name="Hotel Aurora")
    hotel = Hotel(engine, clock, random.Random("aurora"))
    for day in range(7 * WEEKS):
        hotel.talk(FIRST + timedelta(days=day), USUAL[day % 7] + hotel.dice.randint(-3, 3))
    return hotel


def _ways() -> Ways:
    nothing: Any = None
    return Ways(nothing, nothing, BASE, nothing, nothing)


def _mail(hotel: Hotel, sender: str = "Hubbub <hubbub@hotel-aurora.example>") -> str:
    """Return the newest message as a mail program shows it."""
    *_, (message, notice) = hotel.documents()
    mail = as_mail(_ways(), notice, "marta@hotel-aurora.example", message)
    at = f"{hotel.now.astimezone(hotel.engine.control.tenant(TENANT).tz):%a %d %b %Y, %H:%M}"
    head = f"<b>{escape(mail.subject)}</b><br>from {escape(sender)} to {escape(mail.to)} · {at}"
    page = escape(mail.html, quote=True)
    return (
        f'{FRAME}<div class="sheet"><div class="head">{head}</div><iframe srcdoc="{page}" '
        'style="border:0;width:100%" onload="this.style.height=this.contentDocument.documentElement.scrollHeight+\'px\'">'
        "</iframe></div>"
    )


def _slack(hotel: Hotel) -> str:
    """Return the outbox's incident messages as Slack shows their text: bold, links, line breaks."""
    posts = []
    for message, notice in hotel.documents():
        if not notice.type.startswith("incident"):
            continue
        text = as_slack(_ways(), notice)
        bold = re.sub(r"^\*(.+)\*$", r"<b>\1</b>", text, count=1, flags=re.MULTILINE)
        linked = re.sub(r"<(https://[^|>]+)\|([^>]+)>", r'<a href="\1">\2</a>', bold).replace("\n", "<br>")
        at = message.created_at.astimezone(hotel.engine.control.tenant(TENANT).tz)
        posts.append(
            f'<div class="post"><i></i><p><b>Hubbub</b> <small>app · {at:%a %H:%M}</small><br>{linked}</p></div>'
        )
    return f'{FRAME}<div class="sheet"><div class="head"><b># front-desk</b></div>{"".join(posts)}</div>'


def _quiet_day(hotel: Hotel) -> str:
    """A daily digest after a day on which nothing was unusual."""
    _subscribe(hotel)
    hotel.talk(hotel.now, USUAL[0])
    _morning(hotel, hours=6)
    return _mail(hotel)


def _late_data(hotel: Hotel) -> str:
    """A daily digest that waited four hours for a source, and went out without it."""
    _subscribe(hotel)
    since = f"{hotel.now - timedelta(days=3):%Y-%m-%d}"
    hotel.engine.integrations.add(TENANT, "slack", "xoxb-example", "Slack of the front desk", {"since": since})
    hotel.talk(hotel.now, USUAL[0])
    _morning(hotel, hours=6)
    _morning(hotel, hours=4)
    return _mail(hotel)


def _incident(hotel: Hotel) -> str:
    """A rise of messages on a Monday, and its end on the days after."""
    to = hotel.engine.destinations.add(
        TENANT, "slack", "https://hooks.slack.com/services/T00/B00/example", "front desk"
    )
    rule = {"name": "Many messages", "kind": "change", "metric": "messages_received", "direction": "above"}
    hotel.engine.alerts.add(TENANT, {**rule, "destinations": [to.id]})
    for day, count in enumerate((61, 17, 14, 16, 17)):
        hotel.talk(hotel.now, count)
        _morning(hotel, hours=7) if day == 0 else _morning(hotel, hours=0)
    return _slack(hotel)


def _subscribe(hotel: Hotel) -> None:
    to = hotel.engine.destinations.add(TENANT, "mail", "marta@hotel-aurora.example", "Marta")
    hotel.engine.subscriptions.add(TENANT, to.id, "daily", sections=["summary", "channel_breakdown"])


def _morning(hotel: Hotel, hours: int) -> None:
    """Let the clock go on: to so many hours after the next midnight or, in the morning, by as many; send what is due."""
    later = hotel.now.hour > 0
    hotel.clock[0] += timedelta(hours=hours) if later and hours else timedelta(days=1, hours=hours)
    hotel.engine.refresh()
    hotel.engine.judging.judge()
    hotel.engine.subscriptions.send()


Served = AbstractContextManager[str]
STORIES: tuple[tuple[str, Callable[[Hotel], str]], ...] = (
    ("mail-quiet-day", _quiet_day), ("mail-late-data", _late_data), ("slack-incident", _incident),
)  # fmt: skip


def received(browser: Browser, served: Callable[[Path], Served], folder: Path) -> None:
    """Take the pictures of all stories into a folder; `served` serves a data folder, for the page that stops a digest."""
    for name, story in STORIES:
        with tempfile.TemporaryDirectory() as data:
            hotel = _hotel(Path(data))
            page = _window(browser)
            page.set_content(story(hotel), wait_until="load")
            page.screenshot(path=folder / f"{name}.png", full_page=True)
            stop = [notice.unsubscribe for _, notice in hotel.documents() if notice.unsubscribe]
            hotel.engine.close()
            if name == "mail-quiet-day":
                with served(Path(data)) as url:
                    _unsubscribe(_window(browser), f"{url}{stop[0]}", folder / "unsubscribed.png")


def _window(browser: Browser) -> Page:
    return browser.new_context(viewport={"width": WIDTH, "height": 180}, reduced_motion="reduce").new_page()


def _unsubscribe(page: Page, address: str, path: Path) -> None:
    page.goto(address)
    page.click("form button")
    page.wait_for_load_state("networkidle")
    page.screenshot(path=path)
