"""Suggested replies: the request, writing them, delivery to Slack."""
