"""What convex attacks, defenses and certificates share."""
