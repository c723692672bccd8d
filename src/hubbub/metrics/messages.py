"""Messages and what became of them: counts by direction, receipts, replies, engagement and conversion of sent ones."""

from __future__ import annotations

from datetime import timedelta

from hubbub.metrics.definition import (
    ALL_GRAINS,
    Better,
    Count,
    Distinct,
    DistinctRatio,
    Fact,
    Link,
    Ratio,
    Rollup,
    Stored,
    Unit,
    days,
)  # fmt: skip

PEOPLE = {"kind": ("person", "ai")}
HORIZON = timedelta(hours=72)
CONVERSION = days(7)

TALK = Fact(
    name="talk",
    doc="A message, received or sent, with who wrote it: person, ai, auto, bot or system. A private note is no message.",
    reads=("message.received", "message.sent"),
    sql="""
        SELECT tenant, "time" AS anchor, id, channel, channel_id, account_id,
            CASE WHEN type = 'message.received' THEN 'in' ELSE 'out' END AS direction, coalesce(kind, 'person') AS kind
        FROM {events} WHERE coalesce(status, '') <> 'private'
    """,
    view="""
        SELECT tenant, time AS anchor, ident, id, channel, channel_id, account_id,
            CASE WHEN type = 'message.received' THEN 'in' ELSE 'out' END AS direction, coalesce(kind, 'person') AS kind
        FROM event
        WHERE type IN ('message.received', 'message.sent') AND repeats IS NULL AND coalesce(status, '') <> 'private'
    """,
)

RECEIPTS = ("message.delivered", "message.read", "message.failed")
MESSAGE = "coalesce({e}.message_id, {e}.id)"
DEEDS = ("contact.converted", "link.clicked", "message.reacted")
BLOCKED = "contact.blocked"

SENT = Fact(
    name="sent",
    doc="A sent message folded over its receipts in any order, and what its contact did next, or whether it blocked us in 7 days.",
    reads=("message.sent", "message.received", *RECEIPTS, *DEEDS, BLOCKED),
    anchors=("message.sent",),
    key=MESSAGE,
    links=(
        Link(MESSAGE, ("message.sent", *RECEIPTS, *DEEDS), back=HORIZON, ahead=HORIZON),
        Link("{e}.conversation_id", ("message.received", "message.sent"), back=HORIZON),
        # a receipt's clock may run ahead of the send: what follows the delivery can still lie before the sending
        Link("{e}.contact_id", DEEDS, back=CONVERSION + HORIZON, ahead=HORIZON),
        Link("{e}.contact_id", (BLOCKED,), back=CONVERSION),
    ),
    look_back=HORIZON,
    look_ahead=CONVERSION + HORIZON,
    # A message that is reported sent twice within the horizon counts once. Inbound messages share `turn` with the latest
    # send before them in their conversation: that message is answered, under whichever of its reports, and no other one is.
    sql="""
        WITH talk AS (
            SELECT seq, tenant, coalesce(message_id, id) AS message, id, type, "time", channel, channel_id, account_id,
                campaign_id, contact_id, conversation_id,
                sum(CASE WHEN type = 'message.sent' THEN 1 ELSE 0 END) OVER thread AS turn,
                lag("time") OVER (
                    PARTITION BY tenant, coalesce(message_id, id), type ORDER BY "time", id, source) AS sent_before
            FROM {events}
            WHERE type IN ('message.sent', 'message.received') AND coalesce(kind, 'person') IN ('person', 'ai', 'auto')
                AND coalesce(status, '') <> 'private'
            WINDOW thread AS (PARTITION BY tenant, conversation_id
                ORDER BY "time", CASE WHEN type = 'message.received' THEN 0 ELSE 1 END, id, source
                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
        ), sends AS (
            SELECT seq, tenant, message, id, "time" AS anchor, channel, channel_id, account_id, campaign_id, contact_id,
                conversation_id
            FROM talk
            WHERE type = 'message.sent' AND (sent_before IS NULL OR "time" >= sent_before + INTERVAL 72 HOUR)
        ), answers AS (
            SELECT s.seq FROM talk AS i
                JOIN talk AS o ON o.tenant = i.tenant AND o.conversation_id = i.conversation_id AND o.turn = i.turn
                JOIN sends AS s ON s.tenant = o.tenant AND s.conversation_id = o.conversation_id AND s.message = o.message
            WHERE i.type = 'message.received' AND o.type = 'message.sent'
                AND i."time" >= s.anchor AND i."time" < s.anchor + INTERVAL 72 HOUR
                AND (s.contact_id IS NULL OR i.contact_id IS NULL OR i.contact_id = s.contact_id)
            GROUP BY s.seq
        ), receipts AS (
            SELECT s.seq,
                min(e."time") FILTER (WHERE e.type IN ('message.delivered', 'message.read')) AS delivered_at,
                bool_or(e.type = 'message.read') AS is_read,
                bool_or(e.type = 'message.failed') AS is_failed,
                bool_or(e.type IN ('link.clicked', 'message.reacted')) AS acted
            FROM sends AS s JOIN {events} AS e ON e.tenant = s.tenant AND e.message_id = s.message
            WHERE e.type IN ('message.delivered', 'message.read', 'message.failed', 'link.clicked', 'message.reacted')
                AND e."time" >= s.anchor - INTERVAL 72 HOUR AND e."time" < s.anchor + INTERVAL 72 HOUR
            GROUP BY s.seq
        ), folded AS (
            SELECT s.seq, s.tenant, s.message, s.id, s.anchor, s.channel, s.channel_id, s.account_id, s.campaign_id, s.contact_id,
                r.delivered_at, coalesce(r.is_read, FALSE) AS is_read,
                coalesce(r.is_failed, FALSE) AND r.delivered_at IS NULL AS is_failed, coalesce(r.acted, FALSE) AS acted,
                r.seq IS NOT NULL AS has_receipt, a.seq IS NOT NULL AS answered
            FROM sends AS s LEFT JOIN receipts AS r ON r.seq = s.seq LEFT JOIN answers AS a ON a.seq = s.seq
        ), deeds AS (
            SELECT f.seq, bool_or(e.type = 'contact.converted') AS converted,
                bool_or(e.type <> 'contact.converted' AND e."time" < f.delivered_at + INTERVAL 72 HOUR) AS acted
            FROM folded AS f JOIN {events} AS e ON e.tenant = f.tenant AND e.contact_id = f.contact_id
            WHERE f.delivered_at IS NOT NULL AND e."time" >= f.delivered_at AND e."time" < f.delivered_at + INTERVAL 168 HOUR
                AND (e.type = 'contact.converted' OR (e.type IN ('link.clicked', 'message.reacted') AND e.message_id IS NULL))
            GROUP BY f.seq
        ), blocks AS (
            SELECT f.seq FROM folded AS f JOIN {events} AS e ON e.tenant = f.tenant AND e.contact_id = f.contact_id
            WHERE e.type = 'contact.blocked' AND e."time" >= f.anchor AND e."time" < f.anchor + INTERVAL 168 HOUR
            GROUP BY f.seq
        )
        SELECT f.seq, f.tenant, f.anchor, f.id, f.channel, f.channel_id, f.account_id, f.campaign_id, f.contact_id,
            f.has_receipt, f.delivered_at IS NOT NULL AS delivered, f.is_read, f.is_failed,
            f.delivered_at IS NOT NULL AND f.answered AS replied,
            f.delivered_at IS NOT NULL AND (f.answered OR f.acted OR coalesce(d.acted, FALSE)
                OR coalesce(d.converted, FALSE)) AS engaged,
            coalesce(d.converted, FALSE) AS converted, b.seq IS NOT NULL AS opted_out
        FROM folded AS f LEFT JOIN deeds AS d ON d.seq = f.seq LEFT JOIN blocks AS b ON b.seq = f.seq
    """,
    view="""
        SELECT tenant, time AS anchor, ident, id, channel, channel_id, account_id, campaign_id, contact_id,
            coalesce(receipts & 1, 0) AS has_receipt, delivered_at IS NOT NULL AS delivered,
            coalesce(receipts & 2, 0) > 0 AS is_read, coalesce(receipts & 4, 0) > 0 AS is_failed,
            delivered_at IS NOT NULL AND answered_at IS NOT NULL AS replied,
            delivered_at IS NOT NULL AND (answered_at IS NOT NULL OR coalesce(receipts & 8, 0) > 0
                OR EXISTS (SELECT 1 FROM event AS d WHERE d.tenant = m.tenant AND d.contact_id = m.contact_id
                    AND d.time >= m.delivered_at AND d.time < m.delivered_at + 604800000000 AND (d.type = 'contact.converted'
                        OR (d.type IN ('link.clicked', 'message.reacted') AND d.message_id IS NULL
                            AND d.time < m.delivered_at + 259200000000)))) AS engaged,
            delivered_at IS NOT NULL AND EXISTS (SELECT 1 FROM event AS d WHERE d.tenant = m.tenant
                AND d.contact_id = m.contact_id AND d.type = 'contact.converted' AND d.time >= m.delivered_at
                AND d.time < m.delivered_at + 604800000000) AS converted,
            EXISTS (SELECT 1 FROM event AS d WHERE d.tenant = m.tenant AND d.contact_id = m.contact_id
                AND d.type = 'contact.blocked' AND d.time >= m.time AND d.time < m.time + 604800000000) AS opted_out
        FROM event AS m
        WHERE type = 'message.sent' AND repeats IS NULL AND coalesce(kind, 'person') IN ('person', 'ai', 'auto')
            AND coalesce(status, '') <> 'private'
    """,
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
    keep=ALL_GRAINS,
)  # fmt: skip

DELIVERIES = Rollup(
    name="deliveries",
    doc="Sent messages by what their receipts say, under the time of sending; provisional for 72 hours.",
    source=SENT,
    dimensions=("channel", "channel_id", "account_id", "campaign_id"),
    measures={
        "attempted": Count("Sent messages: delivered, failed or pending.", Unit.COUNT),
        "receipted": Count("Sent messages with any receipt.", Unit.COUNT, "f.has_receipt"),
        "messages_delivered": Count("Delivered; read implies delivered, delivered beats failed.", Unit.COUNT, "f.delivered"),
        "messages_read": Count("Read by the contact.", Unit.COUNT, "f.is_read"),
        "messages_failed": Count("Failed and never delivered.", Unit.COUNT, "f.is_failed"),
        "messages_replied": Count("Delivered and answered within 72 hours.", Unit.COUNT, "f.replied"),
    },
    metrics={
        "messages_attempted": Stored(
            "Messages sent, whatever became of them; private notes are none.", Unit.COUNT, measure="attempted",
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
            "Delivered / attempted (delivered + failed + pending), only channels that gave receipts in the asked range.",
            Unit.SHARE, over={"messages_delivered": 1}, under="attempted", where_seen="receipted", better=Better.HIGHER,
        ),
        "failure_rate": Ratio(
            "Failed / attempted, only channels that gave receipts in the asked range.",
            Unit.SHARE, over={"messages_failed": 1}, under="attempted", where_seen="receipted", better=Better.LOWER,
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
    doc="Contacts that messages were delivered to, and whether they did anything, under the time of sending.",
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
        "recipients": Distinct("Different contacts that got a message.", Unit.COUNT, member="contact_id"),
        "campaign_recipients": Distinct(
            "Different contacts that got a campaign's message.", Unit.COUNT, member="contact_id", where="campaigned > 0"
        ),
        "engagement_rate": DistinctRatio(
            "Distinct delivered recipients who replied, clicked, reacted or converted / distinct delivered recipients.",
            Unit.SHARE, member="contact_id", over="engaged > 0", under="delivered > 0", better=Better.HIGHER,
        ),
        "conversion_rate": DistinctRatio(
            "Distinct delivered recipients who converted within 7 days after delivery / distinct delivered recipients.",
            Unit.SHARE, member="contact_id", over="converted > 0", under="delivered > 0", better=Better.HIGHER,
        ),
    },
)  # fmt: skip

ROLLUPS = (MESSAGES, DELIVERIES, RECIPIENTS)
