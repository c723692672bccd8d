"""News: judging numbers, their causes, and the sentences."""
