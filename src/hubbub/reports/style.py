"""The sheet of a report's page, and the policy that allows it alone."""

from __future__ import annotations

from importlib.resources import files

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
STYLE = files("hubbub.reports").joinpath("report.css").read_text(encoding="utf-8")
