"""The command line: one module for each of its commands, imported when that command is asked for."""
