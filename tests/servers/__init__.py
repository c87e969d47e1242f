"""Sources that servers hold: a real PostgreSQL and an S3 server, started for the tests."""
