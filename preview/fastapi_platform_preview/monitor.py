"""Stands where the engine would while a program is recorded.

Owns the two services that the SDK talks to, and the translation of its requests into resource states. Deliberately
keeps no secret: values that the SDK marks as secret are dropped here, before anything is stored.
Source: https://github.com/pulumi/pulumi/blob/master/proto/pulumi/resource.proto
"""

import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime import mocks, rpc, settings
from pulumi.runtime.proto import engine_pb2, resource_pb2

SIGNATURE = rpc._special_sig_key  # pyright: ignore[reportPrivateUsage]
SECRET = {SIGNATURE: rpc._special_secret_sig}  # pyright: ignore[reportPrivateUsage]
STACK_TYPE = "pulumi:pulumi:Stack"
STACK_REFERENCE = "pulumi:pulumi:StackReference"
KUBERNETES_SECRET = "kubernetes:core/v1:Secret"

State = dict[str, Any]
"""A resource state in the engine's spelling (`pulumi stack export`)."""


class Refusal(Exception):
    """The program asked for something that only the engine or a cloud can answer."""


@dataclass(frozen=True)
class Answer:
    """What a declared fixture answers to a data source or a read."""

    token: str
    """Token of the function, or type token of the resource that is read."""
    returns: Mapping[str, Any]
    args: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Arguments the call must have; others do not matter."""

    def fits(self, token: str, args: Mapping[str, Any]) -> bool:
        """Whether this answers the call."""
        return token == self.token and all(args.get(key) == value for key, value in self.args.items())


@dataclass(frozen=True)
class Message:
    """A line that the program logged through Pulumi."""

    severity: str
    """`debug`, `info`, `warning` or `error`."""
    text: str


@dataclass
class Recording:
    """What a program would have asked the engine for."""

    states: list[State] = field(default_factory=list[State])
    """In the order of registration."""
    outputs: dict[str, Any] = field(default_factory=dict[str, Any])
    """Exports of the stack, in wire form."""
    messages: list[Message] = field(default_factory=list[Message])


class RecordingMonitor(mocks.MockMonitor):
    """Stands where the engine's resource monitor would, and behaves as it does in a preview.

    Every resource is created; what a provider computes is unknown, what was stated is known.
    """

    def __init__(self, recording: Recording, answers: Sequence[Answer]) -> None:
        super().__init__(_Unused())
        self._recording = recording
        self._answers = answers
        self._seen: set[str] = set()

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """URN as the engine makes it: with the types of all ancestors, the stack excepted."""
        ancestors = parent.split("::")[2] if parent else ""
        qualified = f"{ancestors}${type_}" if ancestors and ancestors != STACK_TYPE else type_
        return f"urn:pulumi:{settings.get_stack()}::{settings.get_project()}::{qualified}::{name}"

    def RegisterResource(self, request: Any) -> Any:
        """Record a resource and answer as the engine does before anything exists."""
        if request.remote:
            raise Refusal(
                f"{request.type} '{request.name}': got a component of another process, want one that this program "
                "makes itself; only the engine can start its provider. Preview it with `pulumi preview`."
            )
        if request.transforms:
            raise Refusal(_no_transforms(f"resource '{request.name}'"))
        urn = self.make_urn(request.parent, request.type, request.name)
        if request.type != STACK_TYPE:
            if urn in self._seen:
                raise Refusal(_twice(request.type, request.name))
            self._seen.add(urn)
            self._recording.states.append(_state(urn, request))
        return resource_pb2.RegisterResourceResponse(urn=urn, id="", object=_outputs(request))

    def RegisterResourceOutputs(self, request: Any) -> Any:
        """Keep what the stack exports."""
        if request.urn.split("::")[2] == STACK_TYPE:
            self._recording.outputs = _plain(request.outputs)
        return empty_pb2.Empty()

    def ReadResource(self, request: Any) -> Any:
        """Answer a `get` from the fixtures."""
        returns = self._answer("reads", request.type, {"id": request.id})
        urn = self.make_urn(request.parent, request.type, request.name)
        return resource_pb2.ReadResourceResponse(urn=urn, properties=_struct(returns))

    def Invoke(self, request: Any) -> Any:
        """Answer a data source from the fixtures."""
        returns = self._answer("invokes", request.tok, _plain(request.args))
        response: Any = {"return": _struct(returns)}
        return resource_pb2.ResourceInvokeResponse(**response)

    def Call(self, request: Any) -> Any:
        """Refuse a method of a remote component."""
        raise Refusal(
            f"{request.tok}: got a call into another process, want none; only the engine can make it. "
            "Preview it with `pulumi preview`."
        )

    def RegisterStackTransform(self, request: Any) -> Any:
        """Refuse what would change resources behind the recorder's back."""
        raise Refusal(_no_transforms("the stack"))

    RegisterStackInvokeTransform = RegisterStackTransform

    def _answer(self, section: str, token: str, args: Mapping[str, Any]) -> Mapping[str, Any]:
        for answer in self._answers:
            if answer.fits(token, args):
                return answer.returns
        raise Refusal(_unanswered(section, token, args))


class _Unused(mocks.Mocks):
    """The base class wants mocks; the recording monitor answers by itself."""

    def call(self, args: mocks.MockCallArgs) -> Any:
        raise NotImplementedError

    def new_resource(self, args: mocks.MockResourceArgs) -> Any:
        raise NotImplementedError


class RecordingEngine(mocks.MockEngine):
    """Stands where the engine's log would."""

    def __init__(self, recording: Recording) -> None:
        super().__init__(logging.getLogger(__name__))
        self._recording = recording

    def Log(self, request: Any) -> None:
        """Keep what the program says, but not what it says for debugging."""
        severity = engine_pb2.LogSeverity.Name(request.severity).lower()
        if severity != "debug":
            self._recording.messages.append(Message(severity, request.message))

    def RequirePulumiVersion(self, request: Any) -> None:
        """No engine takes part, so none can be too old."""


def _state(urn: str, request: Any) -> State:
    timeouts = request.customTimeouts
    return {
        "urn": urn,
        "type": request.type,
        "custom": request.custom,
        "parent": request.parent,
        "inputs": _inputs(request),
        "dependencies": sorted(request.dependencies),
        "propertyDependencies": {key: sorted(found.urns) for key, found in request.propertyDependencies.items()},
        "provider": request.provider,
        "protect": request.protect,
        "aliases": [_alias(alias) for alias in request.aliases],
        "additionalSecretOutputs": list(request.additionalSecretOutputs),
        "customTimeouts": {"create": _seconds(timeouts.create), "update": _seconds(timeouts.update)},
        "deleteBeforeReplace": request.deleteBeforeReplace,
        "deletedWith": request.deletedWith,
        "ignoreChanges": list(request.ignoreChanges),
        "importID": request.importId,
        "replaceOnChanges": list(request.replaceOnChanges),
        "retainOnDelete": request.retainOnDelete,
    }


def _outputs(request: Any) -> struct_pb2.Struct:
    """What a preview knows of a resource: what was stated, and that a generated secret will be one."""
    outputs = struct_pb2.Struct()
    outputs.CopyFrom(request.object)
    for name in request.additionalSecretOutputs:
        if name not in outputs.fields:
            outputs.update({name: {**SECRET, "value": rpc.UNKNOWN}})
    return outputs


def _inputs(request: Any) -> dict[str, Any]:
    inputs: dict[str, Any] = _plain(request.object)
    if request.type == KUBERNETES_SECRET:
        # The SDK hides the whole mapping; the names of its keys are no secret, pods refer to them in clear.
        for section in {"data", "stringData"} & set(inputs):
            inputs[section] = _hidden_values(request.object.fields[section])
    return inputs


def _hidden_values(secret: Any) -> dict[str, Any]:
    """A secret mapping with its keys and without its values; only the mark where the keys are not known either."""
    fields = secret.struct_value.fields
    keys: list[str] = list(fields["value"].struct_value.fields) if "value" in fields else []
    return {key: dict(SECRET) for key in keys} if keys and SIGNATURE not in keys else dict(SECRET)


def _plain(value: Any) -> Any:
    """Wire values without their secrets: what is marked secret keeps its mark and loses its value."""
    if isinstance(value, struct_pb2.Struct):
        fields = value.fields
        if SIGNATURE in fields and fields[SIGNATURE].string_value == SECRET[SIGNATURE]:
            return dict(SECRET)
        return {key: _plain(child) for key, child in fields.items()}
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return _plain(value.struct_value)
    if kind == "list_value":
        return [_plain(child) for child in value.list_value.values]
    return None if kind == "null_value" else getattr(value, kind)


def _struct(values: Mapping[str, Any]) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(dict(values))
    return struct


def _alias(alias: Any) -> str:
    """An alias as its URN, or as the parts that differ."""
    if alias.urn:
        return alias.urn
    parts = {"name": alias.spec.name, "type": alias.spec.type, "parent": alias.spec.parentUrn}
    return ",".join(f"{key}={value}" for key, value in parts.items() if value)


def _seconds(duration: str) -> float:
    """Seconds of a Go duration such as `7m30s`; 0 when there is none."""
    factors = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
    return sum(float(number) * factors[unit] for number, unit in re.findall(r"([0-9.]+)(ms|h|m|s)", duration))


def _unanswered(section: str, token: str, args: Mapping[str, Any]) -> str:
    named = ", ".join(sorted(args)) or "none"
    which = f"id: {json.dumps(args['id'])}, " if section == "reads" else ""
    value = "{outputs: {NAME: VALUE}}" if token == STACK_REFERENCE else "{NAME: VALUE}"
    return (
        f"{token}: got a question to a cloud (arguments: {named}), want its answer in the fixtures file; a preview "
        "without a cloud cannot ask, and an empty answer would be a guess. Declare it in preview-fixtures.yaml beside "
        f"Pulumi.yaml, or in the file of --fixtures:\n  {section}:\n    {json.dumps(token)}: "
        f"[{{{which}returns: {value}}}]"
    )


def _no_transforms(owner: str) -> str:
    return (
        f"{owner}: got a transform, want none; the engine runs transforms, and a recording without them would show "
        "other resources than it deploys. Preview this program with `pulumi preview`."
    )


def _twice(type_: str, name: str) -> str:
    return (
        f"{type_} '{name}': got the same resource twice, want another name for one of them; the engine tells resources "
        "apart by type, name and parents. Rename one."
    )
