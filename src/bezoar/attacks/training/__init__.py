"""Attacks training."""
