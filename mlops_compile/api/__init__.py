"""The stages, wired: what `import mlops_compile` offers and what the command line calls.

One module a job; importing one does not import what the others need.
"""
