"""Speed, measured as ratios against something that runs beside it in the same run."""
