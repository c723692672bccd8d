"""Questions answered from facts: what is asked is checked, read by one statement for each declaration, and laid out in columns."""
