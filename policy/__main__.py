"""Starts the policy pack for the engine."""

from pulumi_policy import PolicyPack

from fastapi_platform_policy.pack import NAME, Pack

PolicyPack(NAME, Pack().policies())
