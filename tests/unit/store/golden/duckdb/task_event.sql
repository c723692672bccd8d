-- task_event: the rows of the fact
SELECT tenant, "time" AS anchor, id, channel, account_id, staff_id, task_id, type, CASE type WHEN 'task.completed' THEN 'done' WHEN 'task.sla_breached' THEN NULL ELSE 'pending' END AS state FROM (SELECT * FROM events WHERE type IN ('task.created', 'task.assigned', 'task.completed', 'task.sla_breached') AND TRUE)

-- tasks: folded from fact rows
SELECT f.tenant, c.window_start AS window_start, f.channel, f.account_id, f.staff_id, count(*) FILTER (WHERE f.type = 'task.created') AS tasks_created, count(*) FILTER (WHERE f.type = 'task.assigned') AS tasks_assigned, count(*) FILTER (WHERE f.type = 'task.completed') AS tasks_completed, count(*) FILTER (WHERE f.type = 'task.sla_breached') AS sla_breaches FROM fact_rows AS f JOIN zones AS z ON z.tenant = f.tenant JOIN calendar AS c ON c.zone = z.zone AND c.slot = epoch_us(f.anchor) // 900000000 SEMI JOIN due_day AS d ON d.tenant = f.tenant AND d.window_start = c.window_start WHERE f.anchor IS NOT NULL AND (TRUE) AND (TRUE) GROUP BY f.tenant, c.window_start, f.channel, f.account_id, f.staff_id

-- tasks: merged from stored rows
SELECT r.tenant, CAST(sum(r.tasks_created) AS BIGINT) AS tasks_created, CAST(sum(r.tasks_assigned) AS BIGINT) AS tasks_assigned, CAST(sum(r.tasks_completed) AS BIGINT) AS tasks_completed, CAST(sum(r.sla_breaches) AS BIGINT) AS sla_breaches FROM rollup_tasks_day AS r GROUP BY r.tenant

-- task_states: folded from fact rows
SELECT f.tenant, c.window_start AS window_start, f.channel, f.account_id, f.task_id, arg_max(f.state, (f.anchor, f.state)) FILTER (WHERE f.state IS NOT NULL) AS state, max(f.anchor) FILTER (WHERE f.state IS NOT NULL) AS state_at FROM fact_rows AS f JOIN zones AS z ON z.tenant = f.tenant JOIN calendar AS c ON c.zone = z.zone AND c.slot = epoch_us(f.anchor) // 900000000 SEMI JOIN due_day AS d ON d.tenant = f.tenant AND d.window_start = c.window_start WHERE f.anchor IS NOT NULL AND (f.task_id IS NOT NULL) AND (TRUE) GROUP BY f.tenant, c.window_start, f.channel, f.account_id, f.task_id

-- task_states: merged from stored rows
SELECT r.tenant, arg_max(r.state, (r.state_at, r.state)) FILTER (WHERE r.state IS NOT NULL) AS state, max(r.state_at) AS state_at FROM rollup_task_states_day AS r GROUP BY r.tenant
