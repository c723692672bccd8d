"""Stored numbers: brought up to date from raw events, checked against them, and let go of when their time has come."""
