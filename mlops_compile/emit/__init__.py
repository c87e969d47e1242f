"""Record in, serving code out."""
