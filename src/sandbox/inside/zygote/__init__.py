"""The process that has the warm imports and forks the workers, and the keeper that starts it and cleans up."""
