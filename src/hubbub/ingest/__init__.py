"""Ingest: events in, each accepted or refused with a reason, from HTTP, the Python client, files, connectors and receivers."""
