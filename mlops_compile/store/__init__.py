"""Content-addressed results: blobs by digest, actions to outputs. Nothing here knows a step."""
