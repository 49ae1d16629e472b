"""Attacks inference."""
