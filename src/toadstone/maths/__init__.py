"""Linear algebra and clustering that several algorithms share."""
