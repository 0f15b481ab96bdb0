"""The sandbox attacked on purpose: what hostile code tries, and what has to stop it. `sandbox doctor --attack`."""
