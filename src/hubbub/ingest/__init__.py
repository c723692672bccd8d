"""How events come in: accepted one by one with a verdict each, from HTTP, the SDK, or files."""
