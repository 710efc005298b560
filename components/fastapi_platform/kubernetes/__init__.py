"""Components that need nothing but a Kubernetes cluster.

Owns how a FastAPI image runs on Kubernetes. Deliberately imports no cloud's SDK: whatever a cloud adds arrives as
plain arguments.
"""
