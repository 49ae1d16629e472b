"""Reading files of models without loading them: one module for each format."""
