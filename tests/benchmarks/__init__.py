"""Benchmarks: whole processes, this project and a peer in turn."""
