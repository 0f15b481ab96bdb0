"""The worker for Python: runs cells in one namespace and reports what they print, show and raise."""
