"""Suggested replies: reading requests, writing replies, delivering them in Slack."""
