-- observation: the rows of the fact
SELECT tenant, "time" AS anchor, id, name, "value", channel, channel_id, account_id FROM (SELECT * FROM events WHERE type IN ('metric.observed') AND TRUE) WHERE "value" IS NOT NULL

-- observations: folded from fact rows
SELECT f.tenant, c.window_start AS window_start, f.name, f.channel, f.channel_id, f.account_id, count(*) AS observations, CAST(coalesce(sum(CAST(round(f.value * 1000000) AS HUGEINT)), 0) AS HUGEINT) AS observed, min(f.value) AS observed_min, max(f.value) AS observed_max FROM fact_rows AS f JOIN zones AS z ON z.tenant = f.tenant JOIN calendar AS c ON c.zone = z.zone AND c.slot = epoch_us(f.anchor) // 900000000 SEMI JOIN due_day AS d ON d.tenant = f.tenant AND d.window_start = c.window_start WHERE f.anchor IS NOT NULL AND (TRUE) AND (TRUE) GROUP BY f.tenant, c.window_start, f.name, f.channel, f.channel_id, f.account_id

-- observations: merged from stored rows
SELECT r.tenant, CAST(sum(r.observations) AS BIGINT) AS observations, CAST(sum(r.observed) AS HUGEINT) AS observed, min(r.observed_min) AS observed_min, max(r.observed_max) AS observed_max FROM rollup_observations_day AS r GROUP BY r.tenant
