"""Rendering with Manim, in the sandbox: beside the session's worker, from a zygote that has Manim imported."""
