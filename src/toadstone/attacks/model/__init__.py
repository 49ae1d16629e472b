"""Attacks model."""
