"""Labels: topic, tone, intent and escalation of a message, by the labeller of highest authority."""
