"""Attacks on the training set."""
