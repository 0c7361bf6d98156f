"""Where a model may run instead of here: a Ray cluster, an OpenAI-compatible server."""
