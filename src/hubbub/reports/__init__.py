"""Reports: a period in sections, as files to keep, send and check."""
