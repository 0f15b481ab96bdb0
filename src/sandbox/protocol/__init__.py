"""What may be said between whoever uses a sandbox and the engine: `messages` is the only schema, `turns` the order."""
