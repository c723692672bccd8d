-- campaign_event: the rows of the fact
SELECT tenant, "time" AS anchor, id, channel, account_id, campaign_id, CASE type WHEN 'campaign.created' THEN 'created' WHEN 'campaign.started' THEN 'active' WHEN 'campaign.completed' THEN 'completed' ELSE 'failed' END AS state FROM (SELECT * FROM events WHERE type IN ('campaign.created', 'campaign.started', 'campaign.completed', 'campaign.failed') AND TRUE) WHERE campaign_id IS NOT NULL

-- campaign_states: folded from fact rows
SELECT f.tenant, c.window_start AS window_start, f.channel, f.account_id, f.campaign_id, arg_max(f.state, (f.anchor, f.state)) FILTER (WHERE f.state IS NOT NULL) AS state, max(f.anchor) FILTER (WHERE f.state IS NOT NULL) AS state_at FROM fact_rows AS f JOIN zones AS z ON z.tenant = f.tenant JOIN calendar AS c ON c.zone = z.zone AND c.slot = epoch_us(f.anchor) // 900000000 SEMI JOIN due_day AS d ON d.tenant = f.tenant AND d.window_start = c.window_start WHERE f.anchor IS NOT NULL AND (TRUE) AND (TRUE) GROUP BY f.tenant, c.window_start, f.channel, f.account_id, f.campaign_id

-- campaign_states: merged from stored rows
SELECT r.tenant, arg_max(r.state, (r.state_at, r.state)) FILTER (WHERE r.state IS NOT NULL) AS state, max(r.state_at) AS state_at FROM rollup_campaign_states_day AS r GROUP BY r.tenant
