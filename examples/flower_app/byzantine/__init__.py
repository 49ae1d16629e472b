"""A Flower app with malicious clients."""
