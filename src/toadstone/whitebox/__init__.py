"""Gradients with respect to inputs: pixels, features, triggers."""
