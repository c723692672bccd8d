"""The embedded store: a durable log, events and facts in SQLite, and the identities of everything ever stored."""
