"""Defenses federated."""
