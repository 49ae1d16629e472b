"""What ``audit data`` is made of: evidence against rows, the table of rows, cleaned data."""
