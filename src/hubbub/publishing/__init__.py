"""What other programs read: snapshots, and the published tables of the systems that Hubbub replaces."""
