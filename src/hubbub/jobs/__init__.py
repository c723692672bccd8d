"""Jobs: durable queues, schedules, retries. What is due comes from the store; a job only does it."""
