"""What a plan may contain: kinds of steps, and the sources, preparations and families they use."""
