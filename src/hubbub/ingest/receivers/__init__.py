"""Receivers: one file per service that sends what happens by itself, body by body."""
