"""Reports: a period in eight sections, as files to keep, send and check."""
