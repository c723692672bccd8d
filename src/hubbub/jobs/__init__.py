"""Jobs: durable queues, schedules, retries. The store decides what is due; a job only does it."""
