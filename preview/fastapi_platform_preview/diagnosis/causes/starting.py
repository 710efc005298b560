"""Containers that cannot be started: their image, their settings, their command, their volumes.

Owns what stands between a placed pod and its process. Deliberately is patient with a runtime or a volume that is only
late, and never asks a registry itself.
Source: https://kubernetes.io/docs/concepts/containers/images/#imagepullbackoff
"""

import re

from ..finding import MENDS_ITSELF, Finding, Rank
from ..observed import moment
from .case import Case

_NO_IMAGE = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
_NO_CONTAINER = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError"}
_CERTAIN = {"CreateContainerConfigError", "StartError"}
"""Of those, what does not come good by itself; a runtime that is overloaded does."""
_PULL = "Failed to pull image"
_NO_SUCH = re.compile(r"not found|manifest unknown|does not exist|invalid reference", re.IGNORECASE)
_DENIED = re.compile(r"denied|unauthorized|forbidden|authentication", re.IGNORECASE)
_KEY = re.compile(r"""couldn't find key (?P<key>\S+) in (?P<kind>Secret|ConfigMap) (?:[^/\s]+/)?(?P<name>\S+)""")
_OBJECT = re.compile(r"""(?P<kind>secret|configmap) "(?P<name>[^"]+)" not found""", re.IGNORECASE)
_COMMAND = re.compile(r"exec: .*(?:executable file not found|no such file or directory|permission denied)")
_PAST_VOLUMES = ("Pulling", "Pulled", "SuccessfulAttachVolume")
"""What happens once the volumes are there; the container is `ContainerCreating` while its image is pulled, too."""
_COMES_FREE = re.compile(r"Multi-Attach|failed to sync")


def image(case: Case) -> Finding | None:
    """The image is not to be had."""
    if case.waits not in _NO_IMAGE:
        return None
    pulls = case.seen.events_of(case.pod, "Failed", saying=_PULL)
    words = pulls[-1].message.partition(": ")[2] if pulls else case.says
    other = case.advice.command(case.release, "image", "<an image that was pushed>", "image")
    pull_secrets = case.advice.change(case.release, "placement.image_pull_secrets", "imagePullSecrets")
    if _DENIED.search(words):
        fix = f"Is it the right name? Then give the nodes the right to pull it: {pull_secrets}. Another image: {other}"
    elif _NO_SUCH.search(words) or case.waits == "InvalidImageName":
        fix = other
    else:
        fix = f"Is the registry in reach of the nodes, and the image in it? Another image: {other}"
    return case.found(
        Rank.NOT_RUNNING, f"the image cannot be pulled: {case.image}", (words,), fix,
        trace=f"{len(pulls)} {pulls[-1].last if pulls else ''}", patience_seconds=15,
    )


def container(case: Case) -> Finding | None:
    """The image is there, and no container can be made of it."""
    reason = case.waits if case.waits in _NO_CONTAINER else case.end_reason
    words = case.says if case.waits in _NO_CONTAINER else case.end_message
    if reason not in _NO_CONTAINER or case.is_ready:
        return None
    failed = case.seen.events_of(case.pod, "Failed")
    cause, fix = _lacking(case, words)
    return case.found(
        Rank.NOT_RUNNING, cause, (words,), fix,
        trace=f"{sum(each.count for each in failed)} {failed[-1].last if failed else ''}",
        patience_seconds=10 if _CERTAIN & {case.waits, case.end_reason} else MENDS_ITSELF,
    )


def _lacking(case: Case, words: str) -> tuple[str, str]:
    """What is missing, and the next step."""
    namespace = case.pod.at("metadata", "namespace")
    key, whole = _KEY.search(words), _OBJECT.search(words)
    if key is not None:
        kind, name = key["kind"], key["name"]
        return f"{kind} {name} has no key {key['key']}", (
            f"Add the key to it, or name another: {case.advice.change(case.release, 'secrets', 'environment')}. "
            f"Its keys: kubectl --namespace {namespace} describe {kind.lower()} {name}"
        )
    if whole is not None and whole["kind"].lower() == "secret":
        return f"Secret {whole['name']} does not exist", (
            f"Create it (kubectl --namespace {namespace} create secret generic {whole['name']} --from-env-file=…), "
            f"or name another: {case.advice.change(case.release, 'secrets', 'environment')}."
        )
    if whole is not None:
        return f"ConfigMap {whole['name']} does not exist", (
            "Somebody deleted it, or it was never made; where the stack owns it: "
            f"fastapi-platform up {case.advice.stack} -- --refresh"
        )
    if "runAsNonRoot" in words or "non-root" in words:
        return "the image wants to run as root", "Give it an unprivileged USER with a number: USER 10001:10001."
    if _COMMAND.search(words):
        command = case.advice.change(case.release, _command_field(case), "command")
        return "the image does not have the command", f"Correct it: {command}, or build it into the image."
    return "no container can be made", f"kubectl --namespace {namespace} describe pod {case.pod.name}"


def _command_field(case: Case) -> str:
    return "process" if case.advice.key(case.release, "process") == "service.process" else "command"


def volume(case: Case) -> Finding | None:
    """The pod waits for a volume that cannot be mounted."""
    passed = max((each.last for each in case.seen.events_of(case.pod, *_PAST_VOLUMES)), default=moment(None))
    failed = case.seen.events_of(case.pod, "FailedMount", "FailedAttachVolume")
    mounts = [each for each in failed if each.last > passed]
    if case.waits != "ContainerCreating" or not mounts:
        return None
    words = mounts[-1].message
    missing = _OBJECT.search(words)
    kind = {"secret": "Secret", "configmap": "ConfigMap"}.get(missing["kind"].lower(), "") if missing else ""
    cause = f"{kind} {missing['name']} does not exist" if missing else "a volume cannot be mounted"
    return case.found(
        Rank.NOT_RUNNING, cause, (words,),
        f"Create what it names, or take the volume out: kubectl --namespace {case.pod.at('metadata', 'namespace')} "
        f"describe pod {case.pod.name}",
        trace=f"{mounts[-1].count} {mounts[-1].last}",
        patience_seconds=MENDS_ITSELF if _COMES_FREE.search(words) else 30,
    )
