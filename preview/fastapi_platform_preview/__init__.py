"""Records a Python Pulumi program without cloud, credentials or CLI, judges it, and shows it."""
