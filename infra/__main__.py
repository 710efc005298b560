"""The program that Pulumi runs: load, build, export."""

from dataclasses import fields

import pulumi
from settings import load
from stack import build

from fastapi_platform import PlatformError

try:
    settings = load()
except PlatformError as error:
    raise pulumi.RunError(str(error)) from error

outputs = build(settings)
for output in fields(outputs):
    pulumi.export(output.name, getattr(outputs, output.name))
