"""The words Hubbub is built from: events, tenants, windows, questions and answers. Plain values that know no store."""
