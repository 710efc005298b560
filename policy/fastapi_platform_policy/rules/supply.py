"""What runs is what was reviewed, and no credential stands where it can be read.

Sources: https://kubernetes.io/docs/concepts/containers/images/ https://kubernetes.io/docs/concepts/configuration/secret/
"""

from collections.abc import Iterator

from fastapi_platform.planning import images, secrecy
from fastapi_platform.planning.environment import Environment

from .. import credentials
from ..program import Program
from ..record import Marker, Record, Value, at, items, mapping, text
from ..rule import Answer, Rule, Severity, Thresholds, verdict_of
from ..workloads import Container


def _pinned(program: Program, thresholds: Thresholds) -> Iterator[Answer]:
    for workload in program.workloads:
        environment = workload.environment(thresholds.assumed_environment)
        wrong = [problem for container in workload.containers() for problem in _loose(container, environment)]
        unsure = [found.name for found in workload.containers() if found.at("image") is Marker.UNKNOWN]
        yield verdict_of(workload.urn, wrong, [f"image of container {name} is not known yet" for name in unsure])


def _loose(container: Container, environment: Environment) -> Iterator[str]:
    image = text(container.at("image"))
    for expectation in images.expectations("image", image, environment) if image else ():
        if not expectation.holds:
            yield f"image {image} of container {container.name}: want {expectation.want}, because {expectation.why}"


def _clear_secrets(program: Program, _: Thresholds) -> Iterator[Answer]:
    for workload in program.workloads:
        containers = tuple(workload.containers())
        leaks = [leak for container in containers for leak in (*_in_environment(container), *_in_command(container))]
        yield verdict_of(workload.urn, leaks)
    for config in program.of_kind("ConfigMap"):
        texts = _texts(config.at("data"))
        wrong = [f"data.{name} looks like a credential" for name in sorted(texts) if _suspected(name, texts[name])]
        yield verdict_of(config.urn, wrong)
    for secret in program.of_kind("Secret"):
        yield verdict_of(secret.urn, list(_unmarked(secret)))


def _unmarked(secret: Record) -> Iterator[str]:
    for section in ("data", "stringData"):
        for name in (key for key, value in _texts(secret.at(section)).items() if value):
            yield f"{section}.{name} is not marked secret, so the state keeps it in clear"


def _in_environment(container: Container) -> Iterator[str]:
    for entry in items(container.at("env")):
        name, value = text(at(entry, "name")), at(entry, "value")
        if value is Marker.SECRET:
            yield f"{name} of container {container.name} is a secret that ends up in the pod's spec"
        elif _suspected(name, value):
            yield f"{name} of container {container.name} looks like a credential"


def _in_command(container: Container) -> Iterator[str]:
    for key in ("command", "args"):
        words = container.at(key)
        if Marker.SECRET in items(words):
            yield f"{key} of container {container.name} holds a secret that ends up in the pod's spec"
        elif credentials.holds_one(words):
            yield f"{key} of container {container.name} holds what looks like a credential"


def _suspected(name: str, value: Value) -> bool:
    """A value that only the deployment decides is judged by its name."""
    if value is Marker.UNKNOWN:
        return secrecy.name_looks_secret(name)
    return credentials.holds_one({name: text(value)})


def _texts(data: Value) -> dict[str, str]:
    return {name: text(value) for name, value in mapping(data).items()}


RULES = (
    Rule(
        name="images-by-digest",
        check=_pinned,
        controls=("build-once-promote-digest",),
        fix="Reference the image as repository@sha256:…; a tag, never latest, only in a stack that says it is local.",
        severity=Severity.HIGH,
        url="https://kubernetes.io/docs/concepts/containers/images/#image-names",
        why="A tag can be moved to code that nobody reviewed, and two pods of one release can differ.",
    ),
    Rule(
        name="secrets-not-in-clear",
        check=_clear_secrets,
        controls=("secrets-in-secret-manager", "no-hardcoded-secrets"),
        fix="Put the value into a Secret (marked with pulumi.Output.secret) and refer to its key with secretKeyRef.",
        severity=Severity.CRITICAL,
        url="https://kubernetes.io/docs/concepts/configuration/secret/",
        why="Everybody who may read the state, the namespace or a log reads the credential.",
    ),
)
