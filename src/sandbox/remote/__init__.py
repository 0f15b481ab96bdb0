"""The way to a server, for the SDK: HTTP with pooled connections, in a thread of its own."""
