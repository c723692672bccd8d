"""Questions answered from facts: checked, read by one statement for each declaration, and laid out in columns."""
