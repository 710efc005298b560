"""What every workload stands on: an identity, its settings, and its network policy.

Owns ServiceAccount, ConfigMap and NetworkPolicy of one workload, and the pod annotation that makes a change of
settings or secrets replace its pods. Deliberately is no component of its own: the three belong to the workload, and
appear under it.

The ConfigMap is immutable and its name ends with the hash of its content. A deploy that fails must leave the old
version serving, and an old pod that restarts meanwhile must find the settings it was made with. The logical name ends
with the same hash: going back after a failed deploy then finds the old ConfigMap in the state. One logical name would
make it a replacement, whose old half waits for its deletion and is in the way of its own return.
Source: https://kubernetes.io/docs/concepts/configuration/configmap/#configmap-immutable
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
from pulumi_kubernetes import core, meta

from ..planning import labels, names, secrecy
from ..planning.environment import Environment
from ..planning.errors import Expectation, expect, shown
from . import network_policy, pod
from .network_policy import Reach

PACKAGE = "fastapi-platform"
"""First part of every component's type token; public, because it is part of every URN."""


_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Workload:
    """What the three resources need to know about the workload they belong to."""

    component: str
    """Part of the service: `api`, `worker-emails`, `migration` …"""
    environment: Environment
    image: str
    namespace: pulumi.Input[str]
    service: str
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    reach: Reach = Reach()
    secrets: Mapping[str, pod.SecretKey] = field(default_factory=dict[str, pod.SecretKey])

    @property
    def name(self) -> str:
        """Name of the workload's objects; the API has the service's own name."""
        if self.component == "api":
            return self.service
        return names.fit(f"{self.service}-{self.component}", limit=names.WORKLOAD_LIMIT)

    @property
    def selector(self) -> dict[str, str]:
        """Labels that pick its pods and nothing else."""
        return labels.selector(self.service, component=self.component)

    @property
    def labels(self) -> dict[str, str]:
        """Labels of the objects that outlive a release."""
        return labels.lasting(self.service, component=self.component, environment=self.environment)

    @property
    def release_labels(self) -> dict[str, str]:
        """Labels of the objects and pods that a release replaces."""
        return self.labels | labels.version(self.image)

    @property
    def variables(self) -> dict[str, str]:
        """Environment variables in clear: the stack's, and those that every workload gets."""
        return {"ENVIRONMENT": self.environment.value, "SERVICE_NAME": self.service, **self.env}

    @property
    def checksum(self) -> str:
        """Changes with any setting and with the version of any secret."""
        versions = {variable: [key.name, key.key, key.version] for variable, key in self.secrets.items()}
        return names.digest(json.dumps([self.variables, versions], sort_keys=True), length=16)

    @property
    def config_digest(self) -> str:
        """Changes with any setting in clear."""
        return names.digest(json.dumps(self.variables, sort_keys=True), length=10)

    @property
    def config_name(self) -> str:
        """Name of the ConfigMap: another content, another name."""
        return names.fit(f"{self.name}-config", suffix=self.config_digest, limit=names.OBJECT_LIMIT)

    def metadata(self, name: str) -> meta.v1.ObjectMetaArgs:
        """Metadata of an object that outlives a release."""
        return meta.v1.ObjectMetaArgs(name=name, namespace=self.namespace, labels=self.labels)

    def release_metadata(self, name: str, annotations: Mapping[str, str] | None = None) -> meta.v1.ObjectMetaArgs:
        """Metadata of an object that a release replaces."""
        return meta.v1.ObjectMetaArgs(
            name=name,
            namespace=self.namespace,
            labels=self.release_labels,
            annotations=None if annotations is None else dict(annotations),
        )


@dataclass(frozen=True, slots=True)
class Foundation:
    """The resources that the workload's pods wait for."""

    resources: tuple[pulumi.Resource, ...]
    service_account: str
    config_map: str


def build(name: str, workload: Workload, parent: pulumi.Resource) -> Foundation:
    """Create identity, settings and network policy under a component.

    Args:
        name: Logical name of the component.
        workload: Whose they are.
        parent: The component.
    """
    child = pulumi.ResourceOptions(parent=parent)
    account = core.v1.ServiceAccount(
        f"{name}-identity",
        metadata=workload.metadata(workload.name),
        automount_service_account_token=False,
        opts=child,
    )
    config = core.v1.ConfigMap(
        f"{name}-config-{workload.config_digest}",
        metadata=workload.metadata(workload.config_name),
        data=workload.variables,
        immutable=True,
        opts=child,
    )
    policy = network_policy.build(
        f"{name}-network",
        name=workload.name,
        namespace=workload.namespace,
        labels=workload.labels,
        selector=workload.selector,
        reach=workload.reach,
        opts=child,
    )
    # Plain names, not outputs of the objects: a replaced ConfigMap must never drag its Deployment into a replacement.
    return Foundation((account, config, policy), workload.name, workload.config_name)


def gates(opts: pulumi.ResourceOptions | None) -> pulumi.ResourceOptions:
    """What a component was told to wait for, for those of its children that start processes.

    Children wait for their parent anyway, but only a dependency of their own is kept in the state, where rules and
    reviewers look for it.
    """
    return pulumi.ResourceOptions(depends_on=None if opts is None else opts.depends_on)


def object_name(metadata: meta.v1.outputs.ObjectMeta) -> str:
    """Name of a created object."""
    return metadata.name or ""


def name_once(created: pulumi.Output[meta.v1.outputs.ObjectMeta], *usable: pulumi.Resource) -> pulumi.Output[str]:
    """Name of an object, released only when other resources exist too."""
    return pulumi.Output.all(created.apply(object_name), *(resource.urn for resource in usable)).apply(_first)


def env_expectations(env: Mapping[str, str], secrets: Mapping[str, pod.SecretKey]) -> tuple[Expectation, ...]:
    """That no secret stands in clear, every variable can be read, and none is set twice."""
    leaks = ", ".join(secrecy.leaks(env))
    twice = ", ".join(sorted(set(env) & set(secrets)))
    odd = ", ".join(shown(name) for name in sorted({*env, *secrets}) if _VARIABLE.fullmatch(name) is None)
    return (
        expect(
            "env", not odd, got=odd, want="names of letters, digits and '_' that start with no digit",
            why="no shell and few programs can read a variable of another name", fix="Rename it.",
        ),
        expect(
            "env", not leaks, got=f"{leaks} in clear", want="no credential in clear",
            why="settings end up in the state, in manifests and in logs",
            fix=f"Put {leaks} into a Secret and name its key under secrets.",
        ),
        expect(
            "env", not twice, got=f"{twice} in env and in secrets", want="each variable once",
            why="only one of them can win", fix=f"Remove {twice} from env.",
        ),
    )


def command_expectation(field: str, command: Sequence[str]) -> Expectation:
    """That a command, which everybody who may read the namespace can read, carries no credential."""
    return expect(
        field, not secrecy.hands_over(command), got="a credential in clear",
        want="the name of a variable in its place", why="commands end up in the state, in manifests and in `ps`",
        fix="Put the value into a Secret, name its key under secrets, and let the program read the variable.",
    )


def _first(values: list[str]) -> str:
    return values[0]
