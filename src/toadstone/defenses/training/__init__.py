"""Training that withstands poison."""
