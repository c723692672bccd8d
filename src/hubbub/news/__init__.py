"""The news: which numbers of some days are unusual, by how much, and why; for pages, mails and programs."""
