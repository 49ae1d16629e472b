"""Broken and hostile files for every reader: valid seeds, mutators, one verdict a case, and workers that may die."""
