-- presence: the rows of the fact
SELECT tenant, "time" AS anchor, id, staff_id, account_id, CASE WHEN type = 'staff.login' THEN 'online' WHEN type = 'staff.logout' THEN 'offline' WHEN lower(status) IN ('online', 'active', 'available', 'busy') THEN 'online' WHEN status IS NULL THEN NULL ELSE lower(status) END AS state FROM (SELECT * FROM events WHERE type IN ('staff.login', 'staff.logout', 'staff.status_changed') AND TRUE) WHERE staff_id IS NOT NULL

-- staff_states: folded from fact rows
SELECT f.tenant, c.window_start AS window_start, f.account_id, f.staff_id, arg_max(f.state, (f.anchor, f.state)) FILTER (WHERE f.state IS NOT NULL) AS state, max(f.anchor) FILTER (WHERE f.state IS NOT NULL) AS state_at FROM fact_rows AS f JOIN zones AS z ON z.tenant = f.tenant JOIN calendar AS c ON c.zone = z.zone AND c.slot = epoch_us(f.anchor) // 900000000 SEMI JOIN due_day AS d ON d.tenant = f.tenant AND d.window_start = c.window_start WHERE f.anchor IS NOT NULL AND (TRUE) AND (TRUE) GROUP BY f.tenant, c.window_start, f.account_id, f.staff_id

-- staff_states: merged from stored rows
SELECT r.tenant, arg_max(r.state, (r.state_at, r.state)) FILTER (WHERE r.state IS NOT NULL) AS state, max(r.state_at) AS state_at FROM rollup_staff_states_day AS r GROUP BY r.tenant
