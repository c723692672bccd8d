"""Alerts: judge rules on complete windows, open and close incidents, and notify once."""
