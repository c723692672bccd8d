"""The engine's operations by subject: plain values in, plain values out. `Engine` (app.py) inherits them and wires them up."""
