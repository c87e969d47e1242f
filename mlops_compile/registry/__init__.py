"""Model versions, aliases and their history, in a database."""
