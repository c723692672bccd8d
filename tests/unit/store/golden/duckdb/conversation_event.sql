-- conversation_event: the rows of the fact
SELECT tenant, "time" AS anchor, id, channel, channel_id, account_id, staff_id, conversation_id, type FROM (SELECT * FROM events WHERE type IN ('conversation.closed', 'conversation.escalated', 'conversation.reopened', 'conversation.assigned') AND TRUE)

-- conversation_events: folded from fact rows
SELECT f.tenant, c.window_start AS window_start, f.channel, f.channel_id, f.account_id, f.staff_id, count(*) FILTER (WHERE f.type = 'conversation.closed') AS conversations_closed, count(*) FILTER (WHERE f.type = 'conversation.escalated') AS conversations_escalated, count(*) FILTER (WHERE f.type = 'conversation.reopened') AS conversations_reopened, count(*) FILTER (WHERE f.type = 'conversation.assigned') AS conversations_assigned FROM fact_rows AS f JOIN zones AS z ON z.tenant = f.tenant JOIN calendar AS c ON c.zone = z.zone AND c.slot = epoch_us(f.anchor) // 900000000 SEMI JOIN due_day AS d ON d.tenant = f.tenant AND d.window_start = c.window_start WHERE f.anchor IS NOT NULL AND (TRUE) AND (TRUE) GROUP BY f.tenant, c.window_start, f.channel, f.channel_id, f.account_id, f.staff_id

-- conversation_events: merged from stored rows
SELECT r.tenant, CAST(sum(r.conversations_closed) AS BIGINT) AS conversations_closed, CAST(sum(r.conversations_escalated) AS BIGINT) AS conversations_escalated, CAST(sum(r.conversations_reopened) AS BIGINT) AS conversations_reopened, CAST(sum(r.conversations_assigned) AS BIGINT) AS conversations_assigned FROM rollup_conversation_events_day AS r GROUP BY r.tenant
