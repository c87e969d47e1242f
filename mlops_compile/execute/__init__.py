"""Lock in, record out: runs the steps of a plan against a store."""
