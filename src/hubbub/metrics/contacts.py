"""Contacts: active, new and blocked ones, and how engaged each is."""

from __future__ import annotations

from collections.abc import Mapping

from hubbub.metrics.definition import Better, Count, Distinct, Fact, First, Rollup, Score, State, Unit

CONTACT = Fact(
    name="contact_event",
    subjects=("contact", "message", "link", "satisfaction"),
    doc="A contact's action, or a record about the contact.",
    view="""
        SELECT tenant, time AS anchor, ident, id, channel, account_id, contact_id, type, value, scale FROM event
        WHERE contact_id IS NOT NULL AND repeats IS NULL AND coalesce(kind, 'person') = 'person'
            AND type IN ('message.received', 'message.read', 'message.reacted', 'link.clicked', 'satisfaction.rating_received',
                'contact.created', 'contact.updated', 'contact.blocked', 'contact.unblocked', 'contact.converted')
    """,
)  # fmt: skip

DEEDS: Mapping[str, str] = {
    "conversions": "conversion", "inbound": "inbound", "good_ratings": "rating", "clicks": "click", "reads": "read",
}  # fmt: skip
"""Measure -> kind of action, as `calculations.contact_engagement_score` weighs it."""

CONTACTS = Rollup(
    name="contacts",
    doc="Actions of contacts, when each was first seen, and its states over time.",
    source=CONTACT,
    dimensions=("channel", "account_id", "contact_id"),
    hidden=("contact_id",),
    measures={
        "inbound": Count("Messages from the contact.", Unit.COUNT, "f.type = 'message.received'"),
        "conversions": Count("Conversions.", Unit.COUNT, "f.type = 'contact.converted'"),
        "clicks": Count("Links clicked.", Unit.COUNT, "f.type = 'link.clicked'"),
        "reads": Count("Messages read.", Unit.COUNT, "f.type = 'message.read'"),
        "good_ratings": Count(
            "Ratings of 4 or 5 of 5; answers from 0 to 10 do not count.", Unit.COUNT,
            "f.type = 'satisfaction.rating_received' AND coalesce(f.scale, 5) = 5 AND f.value IN (4, 5)",
        ),
        "deeds": Count(
            "Actions of the contact.", Unit.COUNT,
            "f.type NOT IN ('contact.created', 'contact.updated', 'contact.blocked', 'contact.unblocked')",
        ),
    },
    metrics={
        "active_contacts": Distinct(
            "Different contacts that wrote, reacted, read, clicked, rated or converted; linked ones are one person.",
            Unit.COUNT, member="contact_id", measure="deeds",
        ),
        "new_contacts": First(
            "Contacts first seen in the window: created, or their first message ever. By account, a contact counts where it was "
            "seen first. Linked contacts are one person, new when the first of them was.",
            Unit.COUNT, held=("contact", "seen"),
        ),
        "total_contacts": State(
            "Contacts known at the end of the window (or now); linked ones are one person.", Unit.COUNT, held=("contact", "known"),
        ),
        "blocked_contacts": State(
            "Contacts blocked at the end of the window (or now). Linked contacts are one person, blocked when any of them is.",
            Unit.COUNT, held=("contact", "is blocked"), better=Better.LOWER,
        ),
        "contact_engagement_score": Score(
            "0 to 100: 100 * (1 - exp(-raw / 20)), raw = sum of weight * 2^(-age / 30 days) over the contact's actions, at most "
            "5 per kind and local day; blocked gives 0. Linked contacts are one person. Over several: their mean.",
            Unit.INDEX, parts=tuple(DEEDS),
            function="contact_engagement_score", title="Engagement score", better=Better.HIGHER,
        ),
    },
)  # fmt: skip

ROLLUPS = (CONTACTS,)
