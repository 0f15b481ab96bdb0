"""What owns sessions, workers and files on one machine. The only part that talks to the kernel on the host's side."""
