"""microsandbox's JSON-RPC of its versions 0.1 and 0.2, for its clients, whose own server is not made any more."""
