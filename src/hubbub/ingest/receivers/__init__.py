"""Receivers: one file for each service that sends webhooks."""
