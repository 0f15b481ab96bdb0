"""The way out of a sandbox: a proxy on its own loopback, which the engine serves from outside."""
