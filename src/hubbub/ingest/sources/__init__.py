"""Importers: each reads one kind of file and gives records that the ordinary accept path takes, with a summary."""
