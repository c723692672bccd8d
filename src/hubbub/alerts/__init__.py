"""Alerts: rules are judged on complete windows, incidents open and close, and somebody is notified once."""
