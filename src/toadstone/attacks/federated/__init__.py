"""Attacks federated."""
