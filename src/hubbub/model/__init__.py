"""Plain values that all rooms share: events, tenants, windows, questions and answers. They know no store."""
