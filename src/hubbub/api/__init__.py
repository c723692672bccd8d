"""The HTTP face: who asks, what the body holds, and one shape for every problem. All answers come from the engine."""
