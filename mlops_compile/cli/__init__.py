"""The command line: one module a verb, and the only code that prints."""
