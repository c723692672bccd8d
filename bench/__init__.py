"""The bench: speed, measured as ratios to a reference that is measured in the same run."""
