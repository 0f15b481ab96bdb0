"""Web apps: programs of a session that answer HTTP inside, and are reached on the host's loopback."""
