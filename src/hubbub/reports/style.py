"""The style sheet of a report's page, and the content security policy that allows only inline styles."""

from __future__ import annotations

from importlib.resources import files

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
STYLE = files("hubbub.reports").joinpath("report.css").read_text(encoding="utf-8")
