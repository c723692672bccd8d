"""Connectors: one file for each service that Hubbub fetches from, day by day."""
