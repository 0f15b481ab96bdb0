"""What outlives a process: sessions, their checkpoints, history and files, in SQLite and pack files.

Opaque bytes all the way: nothing that came from a worker is unpickled, evaluated or imported here.
"""
