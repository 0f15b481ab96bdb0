"""Renders the scenes of a session's code with Manim, in a process of its own beside the session's worker."""
