"""Orders: a small FastAPI service. Start at `app.main`."""
