"""What ``audit data`` is made of: evidence against rows, stages on disk, the table of rows, cleaned data."""
