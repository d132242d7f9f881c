"""What runs in every model pod: a supervisor, and under it one vLLM engine with its HTTP server."""
