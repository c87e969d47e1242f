"""A record in, a page for people out: drawn from what the record has; nothing is measured here."""
