"""Labels: from what a message says to its topic, tone, intent and escalation, by whoever knows best."""
