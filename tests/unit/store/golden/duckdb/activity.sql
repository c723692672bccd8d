-- activity: the rows of the fact
SELECT tenant, "time" AS anchor, id, type, channel, account_id FROM (SELECT * FROM events WHERE TRUE AND TRUE)

-- activity: folded from fact rows
SELECT f.tenant, c.window_start AS window_start, f.type, f.channel, f.account_id, count(*) AS events FROM fact_rows AS f JOIN zones AS z ON z.tenant = f.tenant JOIN calendar AS c ON c.zone = z.zone AND c.slot = epoch_us(f.anchor) // 900000000 SEMI JOIN due_day AS d ON d.tenant = f.tenant AND d.window_start = c.window_start WHERE f.anchor IS NOT NULL AND (TRUE) AND (TRUE) GROUP BY f.tenant, c.window_start, f.type, f.channel, f.account_id

-- activity: merged from stored rows
SELECT r.tenant, CAST(sum(r.events) AS BIGINT) AS events FROM rollup_activity_day AS r GROUP BY r.tenant
