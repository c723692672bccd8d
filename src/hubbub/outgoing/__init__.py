"""Calls to the outside: HTTP within bounds, and Slack's client on top of it."""
