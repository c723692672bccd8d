"""The three tenants of the sample, as data for the rest of the package."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

RECEIPTS = frozenset({"whatsapp", "sms", "web"})
"""Channels with receipts."""

READ_RECEIPTS = frozenset({"whatsapp", "web"})


@dataclass(frozen=True)
class Story:
    """A story in the last days of the sample: a new topic in one room.

    `ago`: least and most days before the end of the sample. `conversations`: their number a day; people answer after about `wait`
    minutes. Shares are 0..1; `weights` are the weights of one to five stars.
    """

    topic: str
    room: tuple[str, str]
    ago: tuple[int, int]
    conversations: int
    angry: float = 0.15
    escalates: float = 0.03
    wait: float = 5.0
    surveyed: float = 0.4
    weights: tuple[int, ...] = (1, 1, 3, 8, 12)


@dataclass(frozen=True)
class Scenario:
    """A tenant of the sample. Shares are 0..1; sizes are per weekday; `rooms` are pairs of channel and channel_id."""

    id: str
    zone: str
    name: str
    conversations: int
    weekend: float
    ai: float
    new_contacts: int
    contact: str
    rooms: tuple[tuple[str, str], ...]
    hotspot: str
    accounts: tuple[str, ...]
    staff: tuple[str, ...]
    hours: tuple[int, ...]
    intents: tuple[str, ...]
    topics: tuple[str, ...]
    story: Story
    tasks: tuple[str, ...]
    campaigns: tuple[str, ...]
    observed: tuple[tuple[str, float], ...]
    calls: int = 0

    @property
    def tz(self) -> ZoneInfo:
        """The zone of this tenant's days."""
        return ZoneInfo(self.zone)


HOTEL = Scenario(
    id="hotel-aurora",
    zone="Europe/Rome",
    name="Hotel Aurora, Rome",
    conversations=22,
    weekend=1.25,  # guests travel at weekends
    ai=0.55,
    new_contacts=9,
    contact="guest",
    rooms=(
        ("whatsapp", "front-desk"), ("whatsapp", "front-desk"), ("whatsapp", "concierge"), ("sms", "front-desk-sms"),
        ("email", "reservations"), ("web", "website-chat"), ("web", "housekeeping"),
    ),
    hotspot="housekeeping",
    accounts=("aurora",),
    staff=("giulia", "marco", "elena", "paolo", "sara", "luca", "chiara"),
    hours=(2, 1, 1, 1, 1, 2, 5, 9, 12, 11, 10, 9, 8, 8, 9, 11, 12, 12, 12, 11, 9, 7, 5, 3),
    intents=("book_room", "late_checkout", "room_service", "wifi", "directions", "complaint", "invoice", "other"),
    topics=("booking", "room_service", "wifi", "cleanliness", "breakfast", "billing", "praise"),
    # the air conditioning fails in a heat wave, and guests are no longer satisfied
    story=Story("air_conditioning", ("web", "housekeeping"), (2, 5), 24, angry=0.8, surveyed=0.9, weights=(9, 6, 3, 1, 1)),
    tasks=("towels", "repair", "minibar", "luggage"),
    campaigns=("autumn-weekend", "spa-offer", "truffle-dinner"),
    observed=(("page.views", 900.0), ("page.followers", 5400.0)),
    calls=6,
)  # fmt: skip

SHOP = Scenario(
    id="brooklyn-bikes",
    zone="America/New_York",
    name="Brooklyn Bikes (WhatsApp team)",
    conversations=25,
    weekend=0.7,
    ai=0.3,
    new_contacts=12,
    contact="customer",
    rooms=(
        ("whatsapp", "sales"), ("whatsapp", "sales"), ("whatsapp", "support"), ("whatsapp", "workshop"),
        ("sms", "pickup-sms"), ("email", "orders"), ("whatsapp", "returns"),
    ),
    hotspot="returns",
    accounts=("wa-sales", "wa-support"),
    staff=("ana", "ben", "carla", "dev", "erin", "frank"),
    hours=(1, 1, 0, 0, 0, 1, 2, 4, 8, 12, 13, 12, 11, 11, 12, 13, 12, 11, 9, 8, 6, 5, 3, 2),
    intents=("order_status", "price", "appointment", "return", "stock", "complaint", "human", "other"),
    topics=("order", "delivery", "repair", "return", "price", "stock", "praise"),
    # brakes are recalled, and most of what customers ask the workshop has to be escalated
    story=Story("recall_brakes", ("whatsapp", "workshop"), (2, 6), 22, escalates=0.9),
    tasks=("repair", "refund", "call_back"),
    campaigns=("spring-tune-up", "helmet-sale", "e-bike-days", "members-night"),
    observed=(("page.views", 2300.0), ("page.reach", 15000.0)),
)  # fmt: skip

DESK = Scenario(
    id="kite-support",
    zone="Asia/Kolkata",
    name="Kite Cloud support (Slack)",
    conversations=34,
    weekend=0.3,
    ai=0.4,
    new_contacts=7,
    contact="user",
    rooms=(
        ("slack", "C-GENERAL"), ("slack", "C-GENERAL"), ("slack", "C-BILLING"), ("slack", "C-API"),
        ("slack", "C-ONBOARDING"), ("slack", "C-OUTAGES"), ("email", "help-mail"),
    ),
    hotspot="C-OUTAGES",
    accounts=("kite",),
    staff=("aditi", "bharat", "chandni", "deepak", "esha", "farhan", "gita", "hari"),
    hours=(1, 1, 1, 1, 1, 1, 2, 4, 8, 13, 15, 15, 13, 10, 13, 15, 15, 13, 9, 6, 4, 3, 2, 1),
    intents=("how_to", "bug", "invoice", "access", "feature_request", "outage", "human", "other"),
    topics=("login", "api", "billing", "performance", "integrations", "feature_request", "praise"),
    # sign-in breaks while those who know it are away, and first replies take hours
    story=Story("login_sso", ("slack", "C-API"), (2, 6), 30, wait=150.0),
    tasks=("bug", "follow_up", "access_request"),
    campaigns=(),
    observed=(("api.calls", 120000.0), ("seats.active", 340.0)),
)  # fmt: skip

SCENARIOS = {scenario.id: scenario for scenario in (HOTEL, SHOP, DESK)}
