"""Programs that the engine starts in a sandbox for web apps."""
