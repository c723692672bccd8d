"""Importers: each reads one kind of file and yields records for the ordinary accept path, with a summary."""
