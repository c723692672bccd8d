"""Questions answered: which windows come from rollups and which from raw events, read and merged into one answer."""
