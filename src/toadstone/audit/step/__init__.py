"""What `audit_step` is made of: putting state back, watching a step, and explaining what reached the model."""
