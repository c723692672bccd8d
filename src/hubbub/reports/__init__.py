"""Reports: what a period came to, in seven sections, as files that can be kept, sent and checked."""
