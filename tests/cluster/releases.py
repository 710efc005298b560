"""Images whose migrations differ: one and the same image under other names, each with revisions of its own.

Owns how a newer revision comes into a migration Job without a build: as a file that is mounted beside those of the
image. The service itself is the same in all of them.
"""

from dataclasses import dataclass, field

from tests.cluster.client import Client
from tests.cluster.deploy import Stack
from tests.cluster.kubectl import Object
from tests.cluster.node import Node

HEAD = "0008"
"""The newest revision that the image contains."""
_IMAGE = "app-example"
_FOLDER = "/app/migrations/versions"
_VOLUME = "revisions"


def revision(number: str, after: str, *statements: str, **declared: str) -> str:
    """Return the text of a revision that runs these statements, and declares what is said."""
    said = "".join(f"{name} = {value!r}\n" for name, value in declared.items())
    head = f'"""Revision {number} of a test."""\n\nfrom alembic import op\n\n'
    lines = f"revision = {number!r}\ndown_revision = {after!r}\n{said}"
    body = "".join(f"    op.execute({each!r})\n" for each in statements)
    return f"{head}{lines}\n\ndef upgrade() -> None:\n{body}"


@dataclass
class Releases:
    """The images of one stack, by tag."""

    node: Node
    stack: Stack
    revisions: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    """Text of the revisions that a tag has beyond the image's, by number."""

    def image(self, tag: str, revisions: dict[str, str]) -> str:
        """Return the name of an image that contains these revisions too."""
        self.node.tag_image(f"docker.io/library/{_IMAGE}:dev", f"docker.io/library/{_IMAGE}:{tag}")
        self.revisions[tag] = revisions
        files = {f"{number}.py": text for number, text in revisions.items()}
        named = {"name": f"{_VOLUME}-{tag}"}
        self.stack.kubectl.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": named, "data": files})
        self.stack.break_object = self.mount
        return f"{_IMAGE}:{tag}"

    def mount(self, each: Object) -> None:
        """Give a migration Job the revisions of its image."""
        if each["kind"] != "Job":
            return
        spec = each["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        tag = container["image"].partition(":")[2]
        if tag in self.revisions:
            spec["volumes"].append({"name": _VOLUME, "configMap": {"name": f"{_VOLUME}-{tag}"}})
            container["volumeMounts"] += [
                {"name": _VOLUME, "mountPath": f"{_FOLDER}/{number}.py", "subPath": f"{number}.py", "readOnly": True}
                for number in self.revisions[tag]
            ]

    def forget(self, client: Client) -> None:
        """Take the schema back to the image's own, as nothing but a test may."""
        client.psql(f"DELETE FROM fastapi_platform_schema WHERE revision > '{HEAD}'")
        client.psql(f"UPDATE alembic_version SET version_num = '{HEAD}'")
        client.psql("ALTER TABLE orders DROP COLUMN IF EXISTS noted")
