"""What a developer's machine needs: the services that the application talks to, started for the moment."""
