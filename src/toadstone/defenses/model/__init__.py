"""Defenses model."""
