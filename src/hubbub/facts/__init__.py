"""Facts: pure functions from the events of one key to rows, and the code that keeps stored rows equal to them."""
