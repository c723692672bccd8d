"""Messages: counts by direction, and receipts, replies, engagement and conversion of sent ones."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from hubbub.metrics.definition import (
    Better,
    Count,
    Distinct,
    DistinctRatio,
    Fact,
    Ratio,
    Rollup,
    Stored,
    Unit,
)  # fmt: skip

PEOPLE = {"kind": ("person", "ai")}
HORIZON = timedelta(hours=72)
CONVERSION = timedelta(days=7)

TALK = Fact(
    name="talk",
    subjects=("message",),
    doc="A message, received or sent, with the kind of its sender: person, ai, auto, bot or system. Private notes do not count, "
    "and a message that is reported twice (type, channel, `message_id`) counts once.",
    view="""
        SELECT tenant, time AS anchor, ident, id, channel, channel_id, account_id,
            CASE WHEN type = 'message.received' THEN 'in' ELSE 'out' END AS direction, coalesce(kind, 'person') AS kind
        FROM event
        WHERE type IN ('message.received', 'message.sent') AND repeats IS NULL AND coalesce(status, '') <> 'private'
    """,
)


Related = Callable[[str], str]
"""Takes a condition on an event `d` of the contact of a message `m`; returns the condition on `m` that such an event exists."""
_CONVERTED = "d.type = 'contact.converted' AND d.time >= m.delivered_at AND d.time < m.delivered_at + 604800000000"
_ENGAGED = (
    "d.time >= m.delivered_at AND d.time < m.delivered_at + 604800000000 AND (d.type = 'contact.converted' "
    "OR (d.type IN ('link.clicked', 'message.reacted') AND d.message_id IS NULL AND d.time < m.delivered_at + 259200000000))"
)
_OPTED_OUT = "d.type = 'contact.blocked' AND d.time >= m.time AND d.time < m.time + 604800000000"


def _sent(some: Related) -> str:
    """Return the SELECT of sent messages."""
    return f"""
        SELECT tenant, time AS anchor, ident, id, channel, channel_id, account_id, campaign_id, contact_id,
            delivered_at IS NOT NULL AS delivered,
            coalesce(receipts & 2, 0) > 0 AS is_read, coalesce(receipts & 4, 0) > 0 AS is_failed,
            delivered_at IS NOT NULL AND answered_at IS NOT NULL AS replied,
            delivered_at IS NOT NULL AND (answered_at IS NOT NULL OR coalesce(receipts & 8, 0) > 0 OR {some(_ENGAGED)}) AS engaged,
            delivered_at IS NOT NULL AND {some(_CONVERTED)} AS converted, {some(_OPTED_OUT)} AS opted_out
        FROM event AS m
        WHERE type = 'message.sent' AND repeats IS NULL AND coalesce(kind, 'person') IN ('person', 'ai', 'auto')
            AND coalesce(status, '') <> 'private'
    """


def _exists(own: str) -> Related:
    """Relate by a subquery for each message; `own`: the condition that `d` is of the contact of `m`."""
    return lambda condition: f"EXISTS (SELECT 1 FROM event AS d WHERE d.tenant = m.tenant AND {own} AND {condition})"


def _joined(joins: str) -> Related:
    """Relate by one join for all messages from `:low` to `:high`; `joins`: of `m` with the events of its contact."""
    return lambda condition: (
        f"(m.time, m.ident) IN (SELECT m.time, m.ident FROM event AS m {joins} WHERE m.tenant = :tenant AND d.tenant = :tenant "
        f"AND m.type = 'message.sent' AND m.time >= :low AND m.time < :high AND {condition})"
    )


SENT = Fact(
    name="sent",
    subjects=("message", "link", "contact"),
    doc="A sent message with its receipts, in any order, and the actions of its contact after it, under any linked id; a block "
    "counts for 7 days. Receipts are delivered, read and failed events; clicks and reactions are not.",
    look_ahead=CONVERSION + HORIZON,
    view=_sent(_exists("d.contact_id = m.contact_id")),
    persons=_sent(
        _exists(
            "d.contact_id IN (SELECT m.contact_id UNION ALL SELECT q.contact_id FROM person AS p JOIN person AS q "
            "ON q.tenant = p.tenant AND q.root = p.root WHERE p.tenant = m.tenant AND p.contact_id = m.contact_id)"
        )
    ),
    by_joins=_sent(_joined("JOIN event AS d ON d.contact_id = m.contact_id")),
    persons_by_joins=_sent(
        _joined(
            "LEFT JOIN person AS p ON p.tenant = m.tenant AND p.contact_id = m.contact_id "
            "JOIN (SELECT e.tenant, e.time, e.type, e.message_id, coalesce(q.root, e.contact_id) AS root FROM event AS e "
            "LEFT JOIN person AS q ON q.tenant = e.tenant AND q.contact_id = e.contact_id) AS d "
            "ON d.root = coalesce(p.root, m.contact_id)"
        )
    ),
)

MESSAGES = Rollup(
    name="messages",
    doc="Messages by direction and kind of writer, under their own time.",
    source=TALK,
    dimensions=("channel", "channel_id", "account_id", "direction", "kind"),
    measures={
        "messages": Count("Messages.", Unit.COUNT),
        "messages_received": Count("Messages from contacts.", Unit.COUNT, "f.direction = 'in'"),
        "messages_sent": Count("Messages to contacts.", Unit.COUNT, "f.direction = 'out'"),
    },
    metrics={
        "messages": Stored(
            "Messages of people and of AI that answers people, both directions. Bots, automatic notices, joins and topic "
            "changes are stored with their kind and left out unless bots are asked for; private notes always are.",
            Unit.COUNT, measure="messages", where=PEOPLE,
        ),
        "messages_received": Stored(
            "Messages that came in from contacts.", Unit.COUNT, measure="messages_received", where=PEOPLE
        ),
        "messages_sent": Stored(
            "Messages that went out to contacts, by people or AI.", Unit.COUNT, measure="messages_sent", where=PEOPLE
        ),
    },
)  # fmt: skip

DELIVERIES = Rollup(
    name="deliveries",
    doc="Sent messages by what their receipts say, under the time of sending; provisional for 72 hours.",
    source=SENT,
    dimensions=("channel", "channel_id", "account_id", "campaign_id"),
    measures={
        "attempted": Count("Sent messages: delivered, failed or pending.", Unit.COUNT),
        "messages_delivered": Count("Delivered; read implies delivered, delivered beats failed.", Unit.COUNT, "f.delivered"),
        "messages_read": Count("Read by the contact.", Unit.COUNT, "f.is_read"),
        "messages_failed": Count("Failed and never delivered.", Unit.COUNT, "f.is_failed"),
        "messages_replied": Count("Delivered and answered within 72 hours.", Unit.COUNT, "f.replied"),
    },
    metrics={
        "messages_attempted": Stored(
            "Messages sent, delivered or not; private notes are not counted.", Unit.COUNT, measure="attempted",
            title="All sent messages"
        ),
        "messages_delivered": Stored(
            "Sent messages that were delivered within 72 hours (a read receipt implies it).",
            Unit.COUNT, measure="messages_delivered",
        ),
        "messages_read": Stored("Sent messages read within 72 hours.", Unit.COUNT, measure="messages_read"),
        "messages_failed": Stored(
            "Sent messages that failed and were never delivered.", Unit.COUNT, measure="messages_failed", better=Better.LOWER,
        ),
        "messages_replied": Stored(
            "Delivered messages answered by their contact in the conversation within 72 hours; one inbound message credits "
            "the latest earlier outbound only.", Unit.COUNT, measure="messages_replied",
        ),
        "delivery_rate": Ratio(
            "Delivered / attempted (delivered + failed + pending), only channels that ever gave a receipt.",
            Unit.SHARE, over={"messages_delivered": 1}, under="attempted", receipted=True, better=Better.HIGHER,
        ),
        "failure_rate": Ratio(
            "Failed / attempted, only channels that ever gave a receipt.",
            Unit.SHARE, over={"messages_failed": 1}, under="attempted", receipted=True, better=Better.LOWER,
        ),
        "read_rate": Ratio(
            "Read / delivered: a lower bound, since read receipts can be off.",
            Unit.SHARE, over={"messages_read": 1}, under="messages_delivered", better=Better.HIGHER,
        ),
        "reply_rate": Ratio(
            "Delivered messages answered within 72 hours / delivered.",
            Unit.SHARE, over={"messages_replied": 1}, under="messages_delivered", better=Better.HIGHER,
        ),
    },
)  # fmt: skip

RECIPIENTS = Rollup(
    name="recipients",
    doc="Contacts that messages were delivered to, and whether they acted on them, under the time of sending.",
    source=SENT,
    where="f.delivered AND f.contact_id IS NOT NULL",
    dimensions=("channel", "account_id", "campaign_id", "contact_id"),
    hidden=("contact_id",),
    measures={
        "delivered": Count("Messages delivered to the contact.", Unit.COUNT),
        "engaged": Count("Of these, followed by a reply, click, reaction or conversion.", Unit.COUNT, "f.engaged"),
        "converted": Count("Of these, followed by a conversion within 7 days of delivery.", Unit.COUNT, "f.converted"),
        "campaigned": Count("Of these, sent by a campaign.", Unit.COUNT, "f.campaign_id IS NOT NULL"),
    },
    metrics={
        "recipients": Distinct("Different contacts that got a message.", Unit.COUNT, member="contact_id", measure="delivered"),
        "campaign_recipients": Distinct(
            "Different contacts that got a campaign's message.", Unit.COUNT, member="contact_id", measure="campaigned"
        ),
        "engagement_rate": DistinctRatio(
            "Distinct delivered recipients who replied, clicked, reacted or converted / distinct delivered recipients.",
            Unit.SHARE, member="contact_id", over="engaged", under="delivered", better=Better.HIGHER,
        ),
        "conversion_rate": DistinctRatio(
            "Distinct delivered recipients who converted within 7 days after delivery / distinct delivered recipients.",
            Unit.SHARE, member="contact_id", over="converted", under="delivered", better=Better.HIGHER,
        ),
    },
)  # fmt: skip

ROLLUPS = (MESSAGES, DELIVERIES, RECIPIENTS)
