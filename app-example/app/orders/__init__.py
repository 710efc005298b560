"""The orders resource: endpoints call the service, the service the repository."""
