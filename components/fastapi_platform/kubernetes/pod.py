"""The pod that every workload of the platform runs in.

Owns the parts that never vary: Pod Security *restricted*, a read-only root with a sized `/tmp`, no API token, sized
requests and limits, spread over zones and hosts. Deliberately does not own what a workload is for: probes, commands
and lifecycles come from its component.
Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
from pulumi_kubernetes import core, meta

from ..planning import secrecy
from ..planning.errors import expect, verify
from ..planning.placement import Placement, Toleration
from ..planning.resources import Resources

USER_ID = 10001
"""User and group of every process; images that need another one (Postgres) say so."""
CONFIG_CHECKSUM = "fastapi-platform/config-checksum"
"""Pod annotation: changes when a setting or a secret's version changes, so that the pods are replaced."""


_OBJECT = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_KEY = re.compile(r"[-._A-Za-z0-9]{1,253}")
_NO_VALUE = "Name where the value is; the value itself stays in the cluster."


@dataclass(frozen=True, slots=True)
class SecretKey:
    """One key of a Kubernetes Secret. Never holds the value."""

    name: str
    """Name of the Secret."""
    key: str
    """Key inside it."""
    version: str = "1"
    """What tells one value from the next; another version replaces the pods."""

    def __post_init__(self) -> None:
        verify(
            self,
            expect("name", _names(_OBJECT, self.name), want="a Secret's name of lower-case letters, digits, '-', '.'",
                   why="a pod that names what cannot exist never starts", fix=_NO_VALUE),
            expect("key", _names(_KEY, self.key), want="a Secret's key of letters, digits, '-', '_', '.'",
                   why="a pod that names what cannot exist never starts", fix=_NO_VALUE),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ContainerSpec:
    """What a component decides about its container; everything else is the platform's."""

    command: tuple[str, ...]
    """What the container runs; empty for the image's own."""
    image: str
    name: str
    resources: Resources
    config_map: pulumi.Input[str] | None = None
    """Name of the ConfigMap whose keys become environment variables."""
    lifecycle: core.v1.LifecycleArgs | None = None
    liveness_probe: core.v1.ProbeArgs | None = None
    mounts: Mapping[str, str] = field(default_factory=dict[str, str])
    """Further writable paths by volume name."""
    ports: Mapping[str, int] = field(default_factory=dict[str, int])
    """Container ports by name."""
    readiness_probe: core.v1.ProbeArgs | None = None
    secrets: Mapping[str, SecretKey] = field(default_factory=dict[str, SecretKey])
    """Environment variables that come from Secrets, by variable name."""
    startup_probe: core.v1.ProbeArgs | None = None


def container(spec: ContainerSpec) -> core.v1.ContainerArgs:
    """A container under Pod Security *restricted*."""
    return core.v1.ContainerArgs(
        name=spec.name,
        image=spec.image,
        image_pull_policy="IfNotPresent",
        command=list(spec.command) or None,
        env=[_from_secret(variable, key) for variable, key in sorted(spec.secrets.items())] or None,
        env_from=None if spec.config_map is None else [_from_config_map(spec.config_map)],
        ports=[
            core.v1.ContainerPortArgs(name=name, container_port=port) for name, port in spec.ports.items()
        ]
        or None,
        resources=core.v1.ResourceRequirementsArgs(requests=spec.resources.requests, limits=spec.resources.limits),
        security_context=_restricted_container(),
        startup_probe=spec.startup_probe,
        readiness_probe=spec.readiness_probe,
        liveness_probe=spec.liveness_probe,
        lifecycle=spec.lifecycle,
        # The last lines of the log are the reason that Pulumi and `kubectl describe` show for a failed pod.
        termination_message_policy="FallbackToLogsOnError",
        volume_mounts=[
            core.v1.VolumeMountArgs(name=name, mount_path=path)
            for name, path in {"tmp": "/tmp", **spec.mounts}.items()
        ],
    )


def _names(pattern: re.Pattern[str], text: str) -> bool:
    return pattern.fullmatch(text) is not None and not secrecy.value_looks_secret(text)


def template(
    spec: core.v1.PodSpecArgs, *, labels: Mapping[str, str], annotations: Mapping[str, pulumi.Input[str]]
) -> core.v1.PodTemplateSpecArgs:
    """A pod template; its labels are those that select it and those that describe the release."""
    return core.v1.PodTemplateSpecArgs(
        metadata=meta.v1.ObjectMetaArgs(labels=dict(labels), annotations=dict(annotations) or None), spec=spec
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class PodSpec:
    """What a component decides about its pod."""

    service_account: str
    grace_seconds: int
    """Seconds between the stop and SIGKILL."""
    tmp_size: str
    """Size of `/tmp`, a quantity of bytes."""
    placement: Placement = Placement()
    """Nodes that the pod runs on."""
    restart_policy: str = "Always"
    """`Always` for what serves, `Never` for what must be seen to fail."""
    spread_over: Mapping[str, str] | None = None
    """Labels of the pods to spread over zones and hosts; none for pods that run once."""
    user_id: int = USER_ID
    volumes: Sequence[core.v1.VolumeArgs] = ()


def restricted(pod: PodSpec, *containers: core.v1.ContainerArgs) -> core.v1.PodSpecArgs:
    """A pod that a namespace enforcing Pod Security *restricted* admits."""
    where = pod.placement
    return core.v1.PodSpecArgs(
        service_account_name=pod.service_account,
        automount_service_account_token=False,
        enable_service_links=False,
        containers=list(containers),
        restart_policy=pod.restart_policy,
        image_pull_secrets=[core.v1.LocalObjectReferenceArgs(name=name) for name in where.image_pull_secrets] or None,
        node_selector=dict(where.node_selector) or None,
        priority_class_name=where.priority_class,
        tolerations=[_toleration(each) for each in where.tolerations] or None,
        security_context=core.v1.PodSecurityContextArgs(
            run_as_non_root=True,
            run_as_user=pod.user_id,
            run_as_group=pod.user_id,
            fs_group=pod.user_id,
            fs_group_change_policy="OnRootMismatch",
            seccomp_profile=core.v1.SeccompProfileArgs(type="RuntimeDefault"),
        ),
        termination_grace_period_seconds=pod.grace_seconds,
        topology_spread_constraints=_spread(pod.spread_over) if pod.spread_over else None,
        volumes=[scratch("tmp", pod.tmp_size), *pod.volumes],
    )


def _toleration(toleration: Toleration) -> core.v1.TolerationArgs:
    return core.v1.TolerationArgs(
        key=toleration.key,
        operator="Exists" if toleration.value is None else "Equal",
        value=toleration.value,
        effect=toleration.effect,
    )


def scratch(name: str, size: str) -> core.v1.VolumeArgs:
    """A writable directory that lives and dies with the pod, which is evicted beyond its size."""
    return core.v1.VolumeArgs(name=name, empty_dir=core.v1.EmptyDirVolumeSourceArgs(size_limit=size))


def _restricted_container() -> core.v1.SecurityContextArgs:
    return core.v1.SecurityContextArgs(
        allow_privilege_escalation=False,
        capabilities=core.v1.CapabilitiesArgs(drop=["ALL"]),
        privileged=False,
        read_only_root_filesystem=True,
        run_as_non_root=True,
    )


def _from_secret(variable: str, secret: SecretKey) -> core.v1.EnvVarArgs:
    return core.v1.EnvVarArgs(
        name=variable,
        value_from=core.v1.EnvVarSourceArgs(
            secret_key_ref=core.v1.SecretKeySelectorArgs(name=secret.name, key=secret.key)
        ),
    )


def _from_config_map(name: pulumi.Input[str]) -> core.v1.EnvFromSourceArgs:
    return core.v1.EnvFromSourceArgs(config_map_ref=core.v1.ConfigMapEnvSourceArgs(name=name))


def _spread(selector: Mapping[str, str]) -> list[core.v1.TopologySpreadConstraintArgs]:
    # matchLabelKeys: without it the old release's pods count during a rollout and the new ones end up lopsided.
    return [
        core.v1.TopologySpreadConstraintArgs(
            max_skew=1,
            topology_key=topology,
            when_unsatisfiable="ScheduleAnyway",
            label_selector=meta.v1.LabelSelectorArgs(match_labels=dict(selector)),
            match_label_keys=["pod-template-hash"],
        )
        for topology in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
    ]
