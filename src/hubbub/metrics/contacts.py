"""Contacts: who is active, new, blocked, and how engaged each one is."""

from __future__ import annotations

from hubbub.metrics.definition import Better, Count, Distinct, Extreme, Fact, First, Latest, Rollup, Score, State, Unit

CONTACT = Fact(
    name="contact_event",
    doc="Anything a contact did, or that was recorded about the contact.",
    reads=(
        "message.received", "message.read", "message.reacted", "link.clicked", "satisfaction.rating_received",
        "contact.created", "contact.updated", "contact.blocked", "contact.unblocked", "contact.converted",
    ),
    sql="""
        SELECT tenant, "time" AS anchor, id, channel, account_id, contact_id, type, "value",
            CASE type WHEN 'contact.blocked' THEN 'blocked' WHEN 'contact.unblocked' THEN 'active'
                WHEN 'contact.created' THEN 'active' WHEN 'contact.updated' THEN lower(status) END AS state,
            CASE WHEN type IN ('message.received', 'contact.created') THEN "time" END AS seen_at
        FROM {events} WHERE contact_id IS NOT NULL AND coalesce(kind, 'person') = 'person'
    """,
    view="""
        SELECT tenant, time AS anchor, ident, id, channel, account_id, contact_id, type, value FROM event
        WHERE contact_id IS NOT NULL AND coalesce(kind, 'person') = 'person'
            AND type IN ('message.received', 'message.read', 'message.reacted', 'link.clicked', 'satisfaction.rating_received',
                'contact.created', 'contact.updated', 'contact.blocked', 'contact.unblocked', 'contact.converted')
    """,
)  # fmt: skip

CONTACTS = Rollup(
    name="contacts",
    doc="Per contact and day: what the contact did, first sight, and last status.",
    source=CONTACT,
    dimensions=("channel", "account_id", "contact_id"),
    hidden=("contact_id",),
    measures={
        "inbound": Count("Messages from the contact.", Unit.COUNT, "f.type = 'message.received'"),
        "conversions": Count("Conversions.", Unit.COUNT, "f.type = 'contact.converted'"),
        "clicks": Count("Links clicked.", Unit.COUNT, "f.type = 'link.clicked'"),
        "reads": Count("Messages read.", Unit.COUNT, "f.type = 'message.read'"),
        "good_ratings": Count(
            "Ratings of 4 and more.", Unit.COUNT, "f.type = 'satisfaction.rating_received' AND f.value >= 4"
        ),
        "deeds": Count(
            "Anything the contact did.", Unit.COUNT,
            "f.type NOT IN ('contact.created', 'contact.updated', 'contact.blocked', 'contact.unblocked')",
        ),
        "seen_at": Extreme("First sight: created, or first message.", Unit.COUNT, "seen_at", type="TIMESTAMP"),
        "state": Latest("Last status.", Unit.COUNT, "state"),
    },
    metrics={
        "active_contacts": Distinct(
            "Different contacts that wrote, reacted, read, clicked, rated or converted.",
            Unit.COUNT, member="contact_id", where="deeds > 0",
        ),
        "new_contacts": First(
            "Contacts first seen in the window: created, or their first message ever. An account's are those it saw first.",
            Unit.COUNT, entity="contact_id", column="seen_at", held=("contact", "seen"),
        ),
        "total_contacts": State(
            "Contacts known at the end of the window (or now).", Unit.COUNT, entity="contact_id", where="TRUE",
            held=("contact", "known"),
        ),
        "blocked_contacts": State(
            "Contacts blocked at the end of the window (or now).",
            Unit.COUNT, entity="contact_id", where="state = 'blocked'", better=Better.LOWER,
            held=("contact", "is blocked"),
        ),
        "contact_engagement_score": Score(
            "0 to 100: 100 * (1 - exp(-raw / 20)), raw = sum of weight * 2^(-age / 30 days) over the contact's deeds, at most "
            "5 per kind and local day; blocked gives 0. Over several contacts: their mean.",
            Unit.SCORE, parts=("conversions", "inbound", "good_ratings", "clicks", "reads"),
            function="contact_engagement_score", title="Engagement score", better=Better.HIGHER,
        ),
    },
)  # fmt: skip

ROLLUPS = (CONTACTS,)
