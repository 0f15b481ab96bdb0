"""The server: sandboxes over HTTP, for callers with keys."""
