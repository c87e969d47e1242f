"""Config in, lock out: the passes of the compiler."""
