"""Facts: pure functions from the events of one key to rows, and what keeps the stored rows equal to them."""
