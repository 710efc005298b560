"""The worker process: `python -m app.worker`."""
