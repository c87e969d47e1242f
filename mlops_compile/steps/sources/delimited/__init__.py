"""Delimited text: its options, its lines, its rows, and what is wrong with them."""
