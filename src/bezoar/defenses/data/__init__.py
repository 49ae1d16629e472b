"""Defenses data."""
