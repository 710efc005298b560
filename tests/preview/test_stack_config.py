"""Stack files, read as the engine reads them, and the YAML that they are written in."""

from pathlib import Path

import pytest

from fastapi_platform_preview import fixtures, project, stack_config, yaml_document
from fastapi_platform_preview.errors import UsageError
from tests.preview.projects import SHOP, write

SALT = "encryptionsalt: v1:abc=:v1:def:ghi=\n"


def load(folder: Path, project_file: str, stack_file: str) -> stack_config.StackConfig:
    return stack_config.load(project.find(write(folder, project_file, stack_file)), "dev")


def test_values_are_handed_over_as_the_engine_does(tmp_path: Path):
    config = load(tmp_path, SHOP, """
config:
  region: eu
  shop:count: 3
  shop:ratio: 0.5
  shop:flag: true
  shop:word: on
  shop:time: 1:30
  shop:nothing:
  other:key: value
  shop:object: {b: 1, a: [x, true]}
""")
    assert config.values == {
        "shop:region": "eu", "shop:count": "3", "shop:ratio": "0.5", "shop:flag": "true", "shop:word": "on",
        "shop:time": "1:30", "shop:nothing": "", "other:key": "value", "shop:object": '{"a":["x",true],"b":1}',
    }


def test_defaults_and_values_of_the_project_are_merged_in(tmp_path: Path):
    declared = f"""{SHOP}
config:
  replicas: {{type: integer, default: 2}}
  workers: {{type: object, default: {{}}}}
  short: yes-please
  aws:region: {{value: eu-1}}
"""
    config = load(tmp_path, declared, "config: {shop:replicas: 3}\n")
    assert config.values == {
        "shop:replicas": "3", "shop:workers": "{}", "shop:short": "yes-please", "aws:region": "eu-1",
    }


def test_an_encrypted_value_stays_opaque_wherever_it_is(tmp_path: Path):
    config = load(tmp_path, SHOP, f"""{SALT}
config:
  shop:token: {{secure: v1:cipher}}
  shop:object: {{plain: 1, deep: [{{secure: v1:cipher}}]}}
""")
    assert config.values == {"shop:token": "[secret]", "shop:object": '{"deep":["[secret]"],"plain":1}'}
    assert config.secret_keys == ("shop:object", "shop:token")


def test_what_is_merged_into_a_mapping_is_there_and_its_own_keys_win(tmp_path: Path):
    """The engine's parser merges; a key that is merged in and stated too does not stand twice."""
    (tmp_path / "a.yaml").write_text("""
base: &base {cpu: 1, memory: 1Gi}
deep: {inner: &inner {<<: *base, cpu: 2}}
api: {<<: [*inner, {cpu: 5, disk: 3}], memory: 2Gi}
text: {"<<": plain}
""")
    assert yaml_document.read(tmp_path / "a.yaml") == {
        "base": {"cpu": 1, "memory": "1Gi"},
        "deep": {"inner": {"cpu": 2, "memory": "1Gi"}},
        "api": {"cpu": 2, "memory": "2Gi", "disk": 3},
        "text": {"<<": "plain"},
    }


DECLARED = f"""{SHOP}
config:
  count: {{type: integer}}
  flag: {{type: boolean, default: false}}
  list: {{type: array, items: {{type: string}}, default: []}}
  object: {{type: object, default: {{}}}}
  token: {{type: string, secret: true, default: x}}
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("config: {}\n", r"Pulumi\.dev\.yaml\.count: got nothing, want a value of type integer"),
        ("config: {shop:count: many}\n", r"count: got text, want a value of type integer"),
        ("config: {shop:count: true}\n", r"count: got true, want a value of type integer"),
        ("config: {shop:count: 1, shop:flag: }\n", r"flag: got null, want a value of type boolean"),
        ("config: {shop:count: 1, shop:list: {}}\n", r"list: got a mapping, want a value of type array"),
        ("config: {shop:count: 1, shop:object: []}\n", r"object: got a list, want a value of type object"),
        ("config: {shop:count: 1, shop:token: plain}\n", r"token: got a value in clear, want an encrypted value"),
        ("config: {shop:count: 1, shop:token: {secure: v1:c}}\n", r"token: got an encrypted value without its salt"),
        ("config: 3\n", r"Pulumi\.dev\.yaml\.config: got a number, want a mapping"),
        ("config: false\n", r"Pulumi\.dev\.yaml\.config: got false, want a mapping"),
        ("configg: {}\n", r"Pulumi\.dev\.yaml\.configg: got an unknown key, .* Did you mean config\?"),
        ("config: {shop:count: 1, count: 2}\n", r"Pulumi\.dev\.yaml\.count: got the same key as shop:count"),
        ("config: {true: 1}\n", r"a key that is true and not text \(line 1"),
        ("config: {shop:count: 1, shop:count: 2}\n", r"the key 'shop:count' stands twice in one mapping \(line 1"),
        ("a: &a {b: 1, b: 2}\nconfig: {<<: *a}\n", r"the key 'b' stands twice in one mapping \(line 1"),
        ("config: {<<: 3}\n", r"a mistake in YAML: .*expected a mapping .* for merging.* \(line 1"),
        ("\tconfig: 1\n", r"Pulumi\.dev\.yaml: got a tab, where YAML wants blanks \(line 1, column 1\)"),
        ("a: 1\n\tb: 1\n", r"Pulumi\.dev\.yaml: got a tab, where YAML wants blanks \(line 2, column 1\)"),
        ("a: @b\n", r"Pulumi\.dev\.yaml: got a mistake in YAML: .*cannot start any token \(line 1, column 4\)"),
        ("environment: [prod]\nconfig: {shop:count: 1}\n", r"environment: got configuration from Pulumi ESC"),
    ],
)
def test_a_stack_file_that_the_engine_would_refuse_is_refused(tmp_path: Path, text: str, message: str):
    with pytest.raises(UsageError, match=message):
        load(tmp_path, DECLARED, text)


def test_every_declared_key_that_is_wrong_is_named_at_once(tmp_path: Path):
    with pytest.raises(UsageError) as refused:
        load(tmp_path, DECLARED, "config: {shop:flag: maybe, shop:list: a}\n")
    assert len(str(refused.value).splitlines()) == 3


MISSING = f"""{SHOP}
config:
  count: {{type: integer}}
  flag: {{type: boolean}}
  list: {{type: array, items: {{type: string}}}}
  object: {{type: object}}
  shop:text: {{type: string}}
  token: {{type: string, secret: true}}
"""


def test_the_next_step_for_a_missing_value_writes_one_of_its_type(tmp_path: Path):
    """`pulumi config set object …` writes a text, which is refused next."""
    with pytest.raises(UsageError) as refused:
        load(tmp_path, MISSING, "config: {}\n")
    steps = [line.partition("pulumi config set --stack dev ")[2] for line in str(refused.value).splitlines()]
    assert steps == [
        "count <number>", "flag true, or false", "--path 'list[0]' <value>, once for each element",
        "--path 'object.<field>' <value>, once for each field", "text <value>", "--secret token <value>",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "namespace",
    ["fastapi_platform", "fastapiplatform", "FastAPI-Platform", "fastapi-plattform", "fastapi-platfrom"],
)
def test_a_namespace_that_is_the_projects_misspelled_is_refused(tmp_path: Path, namespace: str):
    """The engine hands it over, and no program reads it."""
    message = rf"{namespace}:workers: got a key of {namespace}, .* Did you mean fastapi-platform:workers\?"
    with pytest.raises(UsageError, match=message):
        load(tmp_path, "name: fastapi-platform\nruntime: python\n", f"config: {{{namespace}:workers: {{}}}}\n")


@pytest.mark.parametrize(
    ("name", "namespace"),
    [("kubernetes-x", "kubernetes"), ("aws1", "aws"), ("shop", "orders"), ("gcp", "gcp"),
     ("my-kubernetes", "kubernetes"), ("eks-kubernetes", "kubernetes"),
     ("our-cloudflare", "cloudflare"), ("orders-api", "orders-app")],
)
def test_another_namespace_is_somebody_elses(tmp_path: Path, name: str, namespace: str):
    config = load(tmp_path, f"name: {name}\nruntime: python\n", f"config: {{{namespace}:region: eu}}\n")
    assert config.values == {f"{namespace}:region": "eu"}


@pytest.mark.parametrize("count", ["3", "'3'", "-3", "3.0"])
def test_a_whole_number_may_be_written_as_pulumi_writes_it(tmp_path: Path, count: str):
    assert load(tmp_path, DECLARED, f"config: {{shop:count: {count}}}\n").values["shop:count"]


def test_a_missing_stack_is_answered_with_the_nearest_one(tmp_path: Path):
    found = project.find(write(tmp_path, SHOP, stack="prod"))
    message = r"^Pulumi\.prdo\.yaml: got no such file, want one of the stacks prod; .* Did you mean prod\?"
    with pytest.raises(UsageError, match=message):
        stack_config.load(found, "prdo")


def test_an_empty_stack_file_is_an_empty_configuration(tmp_path: Path):
    assert load(tmp_path, SHOP, "").values == {}


def test_a_byte_order_mark_is_no_part_of_a_key(tmp_path: Path):
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbfkey: value\n")
    assert yaml_document.read(tmp_path / "a.yaml") == {"key": "value"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe\x00", r"got a character that YAML does not allow \(line 1\)"),
        (b"a: 1\nb: \x00\n", r"got a character that YAML does not allow \(line 2\)"),
        ("a: 1\nname: caf\xe9\n".encode("latin-1"), r"got a byte that is no UTF-8 \(line 2\)"),
        (None, r"got no such file"),
    ],
)
def test_a_file_that_is_not_text_is_refused_with_the_line(tmp_path: Path, content: bytes | None, message: str):
    if content is not None:
        (tmp_path / "a.yaml").write_bytes(content)
    with pytest.raises(UsageError, match=message):
        yaml_document.read(tmp_path / "a.yaml")


def test_a_missing_fixtures_file_is_not_blamed_on_the_engine(tmp_path: Path):
    with pytest.raises(UsageError, match=r"nope\.yaml: got no such file, .*; it holds the answers"):
        fixtures.load(tmp_path / "nope.yaml")
