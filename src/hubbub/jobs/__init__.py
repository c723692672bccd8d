"""Jobs: durable queues, schedules, retries and the worker. A schedule only starts a job; the job finds out what is due."""
