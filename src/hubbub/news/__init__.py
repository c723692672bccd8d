"""The news: which numbers of a stretch of days are unusual, how much, and what made them so; for pages, mails and programs."""
