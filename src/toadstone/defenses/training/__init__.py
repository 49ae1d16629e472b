"""Defenses training."""
