"""Reports: a period in seven sections, as files to keep, send and check."""
