-- classification: the rows of the fact
SELECT tenant, "time" AS anchor, id, type, channel, channel_id, account_id, topic, sentiment, severity, confidence, coalesce(lower(sentiment), '') IN ('negative', 'complaint', 'frustrated', 'angry') OR coalesce(lower(topic), '') IN ('complaint', 'complaints') AS is_complaint, coalesce(lower(topic), '') IN ('escalation', 'escalations') OR coalesce(lower(sentiment), '') = 'escalation' AS is_escalation FROM (SELECT * FROM events WHERE type IN ('topic.classified', 'escalation.raised') AND TRUE)

-- classifications: folded from fact rows
SELECT f.tenant, c.window_start AS window_start, f.channel, f.channel_id, f.account_id, f.topic, f.sentiment, count(*) AS classifications, count(*) FILTER (WHERE f.confidence IS NOT NULL) AS confident, CAST(coalesce(sum(CAST(round(f.confidence * 1000000) AS HUGEINT)), 0) AS HUGEINT) AS confidence FROM fact_rows AS f JOIN zones AS z ON z.tenant = f.tenant JOIN calendar AS c ON c.zone = z.zone AND c.slot = epoch_us(f.anchor) // 900000000 SEMI JOIN due_day AS d ON d.tenant = f.tenant AND d.window_start = c.window_start WHERE f.anchor IS NOT NULL AND (f.type = 'topic.classified') AND (TRUE) GROUP BY f.tenant, c.window_start, f.channel, f.channel_id, f.account_id, f.topic, f.sentiment

-- classifications: merged from stored rows
SELECT r.tenant, CAST(sum(r.classifications) AS BIGINT) AS classifications, CAST(sum(r.confident) AS BIGINT) AS confident, CAST(sum(r.confidence) AS HUGEINT) AS confidence FROM rollup_classifications_day AS r GROUP BY r.tenant

-- alerts: folded from fact rows
SELECT f.tenant, c.window_start AS window_start, f.channel, f.channel_id, f.account_id, f.severity, count(*) AS escalation_alerts FROM fact_rows AS f JOIN zones AS z ON z.tenant = f.tenant JOIN calendar AS c ON c.zone = z.zone AND c.slot = epoch_us(f.anchor) // 900000000 SEMI JOIN due_day AS d ON d.tenant = f.tenant AND d.window_start = c.window_start WHERE f.anchor IS NOT NULL AND (f.type = 'escalation.raised') AND (TRUE) GROUP BY f.tenant, c.window_start, f.channel, f.channel_id, f.account_id, f.severity

-- alerts: merged from stored rows
SELECT r.tenant, CAST(sum(r.escalation_alerts) AS BIGINT) AS escalation_alerts FROM rollup_alerts_day AS r GROUP BY r.tenant

-- hotspots: folded from fact rows
SELECT f.tenant, c.window_start AS window_start, f.channel, f.channel_id, f.account_id, count(*) AS total_count, count(*) FILTER (WHERE f.is_complaint) AS complaint_count, count(*) FILTER (WHERE f.is_escalation AND NOT f.is_complaint) AS escalation_count FROM fact_rows AS f JOIN zones AS z ON z.tenant = f.tenant JOIN calendar AS c ON c.zone = z.zone AND c.slot = epoch_us(f.anchor) // 900000000 SEMI JOIN due_day AS d ON d.tenant = f.tenant AND d.window_start = c.window_start WHERE f.anchor IS NOT NULL AND (f.type = 'topic.classified') AND (TRUE) GROUP BY f.tenant, c.window_start, f.channel, f.channel_id, f.account_id

-- hotspots: merged from stored rows
SELECT r.tenant, CAST(sum(r.total_count) AS BIGINT) AS total_count, CAST(sum(r.complaint_count) AS BIGINT) AS complaint_count, CAST(sum(r.escalation_count) AS BIGINT) AS escalation_count FROM rollup_hotspots_day AS r GROUP BY r.tenant
