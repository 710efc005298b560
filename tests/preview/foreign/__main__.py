"""A program as a team without our components would write it."""

import os

import pulumi
from shop import deploy

print("this is the program speaking")  # noqa: T201 what programs print must not mix with the data
config = pulumi.Config()
pulumi.log.info(f"features: {config.require_object('features')['enabled']}")
network = pulumi.StackReference("acme/network/production")
deployment = deploy(config)
pulumi.export("vpc", network.get_output("vpcId"))
pulumi.export("id", deployment.id)
pulumi.export("here", os.path.basename(os.getcwd()))
pulumi.export("token", config.require_secret("token"))
