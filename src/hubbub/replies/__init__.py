"""Suggested replies: what is asked for, how it is written, how it reaches Slack."""
