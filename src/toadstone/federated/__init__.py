"""Federated learning: what server and clients see, the rounds, the trainer."""
