"""Values handed from stage to stage: frozen, validated when made, without I/O."""
