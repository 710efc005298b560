"""The recorder: the one place that touches the SDK's internals, pinned here for every upgrade of the SDK."""

import gc
from collections.abc import Callable
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import pulumi_random as random
import pytest

from fastapi_platform_policy.record import Marker
from fastapi_platform_policy.sources import decode, from_states
from fastapi_platform_preview.recorder import Answer, Deployment, Recording, Refusal, record

HERE = Deployment(project="tests", stack="dev")


def recorded(program: Callable[[], Any], answers: tuple[Answer, ...] = ()) -> Recording:
    return record(program, HERE, answers)


class Outer(pulumi.ComponentResource):
    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tests:index:Outer", name, None, opts)
        Inner(f"{name}-inner", pulumi.ResourceOptions(parent=self))


class Inner(pulumi.ComponentResource):
    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tests:index:Inner", name, None, opts)
        config_map(f"{name}-map", pulumi.ResourceOptions(parent=self))


def config_map(
    logical_name: str, opts: pulumi.ResourceOptions | None = None, **data: pulumi.Input[str]
) -> k8s.core.v1.ConfigMap:
    name = logical_name
    return k8s.core.v1.ConfigMap(name, metadata={"name": name}, data=data, opts=opts)


def test_a_urn_has_the_types_of_all_ancestors():
    """The SDK's own mock keeps only one of them; the engine keeps all, and a golden list must show its URNs."""
    urns = [state["urn"] for state in recorded(lambda: Outer("it") and None).states]
    assert urns[-1] == (
        "urn:pulumi:dev::tests::tests:index:Outer$tests:index:Inner$kubernetes:core/v1:ConfigMap::it-inner-map"
    )


def test_everything_is_recorded_before_the_recording_is_returned():
    """Children of components and what `apply` creates are registered late; nothing may be missing."""

    def program() -> None:
        first = config_map("first")
        first.metadata.apply(lambda metadata: config_map(f"after-{metadata.name}") and None)

    assert {state["urn"].rpartition("::")[2] for state in recorded(program).states} == {"first", "after-first"}


def test_what_was_stated_is_known_and_what_a_provider_computes_is_not():
    def program() -> None:
        made = config_map("one")
        config_map("two", name=made.metadata.apply(lambda metadata: metadata.name or ""), id=made.id)

    two = next(each for each in from_states(recorded(program).states) if each.name == "two")
    assert two.inputs["data"] == {"name": "one", "id": Marker.UNKNOWN}


def test_options_reach_the_record():
    def program() -> None:
        first = config_map("first")
        options = pulumi.ResourceOptions(
            depends_on=[first], protect=True, delete_before_replace=True, replace_on_changes=["*"],
            ignore_changes=["data"], retain_on_delete=True, import_="kept/kept",
            custom_timeouts=pulumi.CustomTimeouts(create="1h2m3s", update="90s"),
            aliases=[pulumi.Alias(name="old")], deleted_with=first,
        )
        config_map("second", options)

    found = next(each for each in from_states(recorded(program).states) if each.name == "second")
    assert found.protect
    assert found.dependencies == ("urn:pulumi:dev::tests::kubernetes:core/v1:ConfigMap::first",)
    assert found.aliases == ("name=old",)
    assert found.options.create_timeout_seconds == 3723
    assert found.options.update_timeout_seconds == 90
    assert (found.options.delete_before_replace, found.options.replace_on_changes) == (True, ("*",))
    assert (found.options.ignore_changes, found.options.import_id) == (("data",), "kept/kept")
    assert found.options.retain_on_delete
    assert found.options.deleted_with.endswith("::first")


def test_a_component_waits_for_what_it_was_told_to():
    def program() -> None:
        first = Outer("first")
        Outer("second", pulumi.ResourceOptions(depends_on=[first]))

    second = next(each for each in from_states(recorded(program).states) if each.name == "second")
    assert any(urn.endswith("::first-inner-map") for urn in second.dependencies)


def test_no_secret_is_in_a_recording():
    """Secrets reach the monitor in clear, inside a wrapper."""

    def program() -> None:
        hidden = pulumi.Output.secret("hunter2")
        config_map("map", whole=hidden, part=pulumi.Output.concat("x", hidden))
        k8s.core.v1.Secret("secret", string_data={"password": "hunter2"}, data={"key": "aHVudGVyMg=="})
        pulumi.export("password", pulumi.Output.secret({"nested": ["hunter2"]}))

    found = recorded(program)
    assert "hunter2" not in repr(found)
    assert "aHVudGVyMg==" not in repr(found)
    secret = next(each for each in from_states(found.states) if each.name == "secret")
    assert secret.inputs["stringData"] == {"password": Marker.SECRET}
    assert decode(found.outputs["password"]) is Marker.SECRET


def test_a_generated_password_is_a_secret_and_not_known():
    def program() -> None:
        pulumi.export("password", random.RandomPassword("password", length=8).result)
        pulumi.export("id", random.RandomId("id", byte_length=2).hex)

    outputs = recorded(program).outputs
    assert decode(outputs["password"]) is Marker.SECRET
    assert decode(outputs["id"]) is Marker.UNKNOWN


def test_one_recording_leaves_nothing_for_the_next():
    """Stacks are recorded in processes of their own, tests in one; neither may see another's configuration."""
    with_config = Deployment(project="tests", stack="dev", config={"tests:a": "1"})
    seen: list[str | None] = []

    def program() -> None:
        seen.append(pulumi.Config().get("a"))

    record(program, with_config)
    record(program, HERE)
    assert seen == ["1", None]


def test_a_declared_answer_is_given_and_its_arguments_must_fit():
    def program() -> None:
        answer = pulumi.runtime.invoke("shop:index:getPrice", {"item": "tea", "currency": "chf"})
        pulumi.export("price", answer.value["amount"])

    token = "shop:index:getPrice"
    coffee, tea = Answer(token, {"amount": 9}, {"item": "coffee"}), Answer(token, {"amount": 3}, {"item": "tea"})
    assert recorded(program, (coffee, tea)).outputs == {"price": 3}
    with pytest.raises(Refusal, match=r"shop:index:getPrice: got a question to a cloud \(arguments: currency, item\)"):
        recorded(program, (coffee,))


def test_a_read_of_an_existing_resource_is_answered_by_its_id():
    def program() -> None:
        reference = pulumi.StackReference("acme/network/production")
        pulumi.export("vpc", reference.get_output("vpcId"))

    name = "acme/network/production"
    returns: dict[str, Any] = {"name": name, "outputs": {"vpcId": "net-1"}, "secretOutputNames": []}
    answer = Answer("pulumi:pulumi:StackReference", returns, {"id": name})
    assert recorded(program, (answer,)).outputs == {"vpc": "net-1"}
    with pytest.raises(Refusal, match=r"pulumi:pulumi:StackReference: got a question to a cloud"):
        recorded(program)


def _remote() -> None:
    class Remote(pulumi.ComponentResource):
        def __init__(self) -> None:
            super().__init__("other:index:Remote", "far", {}, None, True)

    Remote()


def _transform() -> None:
    pulumi.runtime.register_resource_transform(lambda args: None)


def _transformed() -> None:
    config_map("map", pulumi.ResourceOptions(transforms=[lambda args: None]))


def _twice() -> None:
    config_map("same")
    config_map("same")


@pytest.mark.parametrize(
    ("program", "message"),
    [(_remote, "other:index:Remote 'far': got a component of another process"),
     (_transformed, "resource 'map': got a transform"), (_transform, "the stack: got a transform"),
     (_twice, "'same': got the same resource twice")],
)
def test_what_only_the_engine_can_do_is_refused_by_name(program: Callable[[], None], message: str):
    """A recording that silently left it out would show other resources than the engine deploys."""
    with pytest.raises(Exception, match=message):
        recorded(program)


def test_what_the_program_logs_is_kept():
    def program() -> None:
        pulumi.log.warn("mind the gap")
        pulumi.log.debug("not this")

    assert [(each.severity, each.text) for each in recorded(program).messages] == [("warning", "mind the gap")]


def test_the_programs_own_error_comes_through():
    def program() -> None:
        raise pulumi.RunError("the settings are wrong")

    with pytest.raises(pulumi.RunError, match="the settings are wrong"):
        recorded(program)


def test_a_refused_program_leaves_no_coroutine_behind(recwarn: pytest.WarningsRecorder):
    """Four lines about `Output.future`, which was never awaited, stood above the one that said what to do."""

    def program() -> None:
        for name in ("acme/network/production", "acme/data/production"):
            pulumi.export(name, pulumi.StackReference(name).get_output("x"))

    with pytest.raises(Refusal, match="a question to a cloud"):
        recorded(program)
    gc.collect()
    assert [str(warning.message) for warning in recwarn] == []


def test_an_asynchronous_program_is_waited_for():
    async def program() -> None:
        first = config_map("first")
        name = await first.metadata.apply(lambda metadata: metadata.name or "").future()
        config_map(f"second-{name}")

    assert len(recorded(program).states) == 2
