"""What an audit asks of a model."""
