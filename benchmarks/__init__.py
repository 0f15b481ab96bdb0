"""Our figures and those of the peers on the same work, in one run on one machine: `python -m benchmarks`."""
