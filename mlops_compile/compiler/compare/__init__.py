"""Compares two plans: what differs in their causes, and what that does; without any data."""
