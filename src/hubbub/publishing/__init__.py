"""Numbers for other programs: snapshots, and the published tables of the systems that Hubbub replaces."""
