"""A real Kubernetes on one machine, from packages alone, and what has to hold on it."""
