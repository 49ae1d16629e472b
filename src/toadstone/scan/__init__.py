"""Somebody else's files and code, read without running them: no torch, no scikit-learn."""
