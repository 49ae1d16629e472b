"""The calls are for mypy to read: nobody runs them."""

collect_ignore = ["wrong_calls.py", "right_calls.py"]
