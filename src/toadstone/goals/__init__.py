"""What attackers want, measured."""
