"""The synchronous facade with the names of the API."""
