"""Connectors: one file per service that Hubbub fetches from, day by day."""
