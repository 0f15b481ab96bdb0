"""Framing between the engine, the zygote and the workers."""
