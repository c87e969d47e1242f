"""Faults: runs that are killed, raced, starved and lied to, and what must hold afterwards."""
