"""Who comes in: passwords, second factor, the identity provider, and what slows guessing down. Knows models."""
