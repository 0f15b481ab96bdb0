"""Which hosts a sandbox may reach: names and addresses, rules about them, and policies of rules."""
