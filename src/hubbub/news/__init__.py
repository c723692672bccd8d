"""The news: the unusual numbers of some days, their distance from usual, and their causes; for pages, mails and programs."""
