"""What `audit_code` is made of: reading scripts, what their names mean, and the rules."""
