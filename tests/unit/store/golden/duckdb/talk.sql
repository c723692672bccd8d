-- talk: the rows of the fact
SELECT tenant, "time" AS anchor, id, channel, channel_id, account_id, CASE WHEN type = 'message.received' THEN 'in' ELSE 'out' END AS direction, coalesce(kind, 'person') AS kind FROM (SELECT * FROM events WHERE type IN ('message.received', 'message.sent') AND TRUE) WHERE coalesce(status, '') <> 'private'

-- messages: folded from fact rows
SELECT f.tenant, c.window_start AS window_start, f.channel, f.channel_id, f.account_id, f.direction, f.kind, count(*) AS messages, count(*) FILTER (WHERE f.direction = 'in') AS messages_received, count(*) FILTER (WHERE f.direction = 'out') AS messages_sent FROM fact_rows AS f JOIN zones AS z ON z.tenant = f.tenant JOIN calendar AS c ON c.zone = z.zone AND c.slot = epoch_us(f.anchor) // 900000000 SEMI JOIN due_day AS d ON d.tenant = f.tenant AND d.window_start = c.window_start WHERE f.anchor IS NOT NULL AND (TRUE) AND (TRUE) GROUP BY f.tenant, c.window_start, f.channel, f.channel_id, f.account_id, f.direction, f.kind

-- messages: merged from stored rows
SELECT r.tenant, CAST(sum(r.messages) AS BIGINT) AS messages, CAST(sum(r.messages_received) AS BIGINT) AS messages_received, CAST(sum(r.messages_sent) AS BIGINT) AS messages_sent FROM rollup_messages_hour AS r GROUP BY r.tenant
