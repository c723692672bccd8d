"""Calls to other services: bounded HTTP, Slack's client on top of it, mail, webhooks, chat completions."""
