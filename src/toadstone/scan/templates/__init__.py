"""Chat templates: the programs in Jinja that turn a dialogue into what a language model reads."""
