"""Metrics: a file of declarations for each subject, collected by `catalogue`. Read `responses` first."""
