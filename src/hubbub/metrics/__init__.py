"""What Hubbub knows: one file of declarations per subject, collected by `catalogue`. Read `responses` first."""
