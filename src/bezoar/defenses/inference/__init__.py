"""Defenses inference."""
