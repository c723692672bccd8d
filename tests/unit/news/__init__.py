"""News: what is judged, what made it so, and what is said of it."""
