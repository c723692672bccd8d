"""HTTP: authentication, limits, bodies, and one shape for every problem. All answers come from the engine."""
