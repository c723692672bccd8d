"""The dashboard: server-rendered pages over the same answers as the API. `every.py` lists the pages, one file each."""
