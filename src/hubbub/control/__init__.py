"""Control data: tenants, access, integrations, alerts, messages and ledgers, in SQLite or PostgreSQL."""
