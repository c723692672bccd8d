"""Where events, rollups and control data are kept. `base` is the protocol; each engine is one file."""
