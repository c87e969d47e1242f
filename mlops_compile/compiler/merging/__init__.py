"""Two changes of one lock become one lock, or it is told why compiling has to do that."""
