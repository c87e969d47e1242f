"""Scorers of trees in C and in Python, as text, from the one form of trees."""
