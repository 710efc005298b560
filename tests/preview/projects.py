"""Small projects that tests write."""

from pathlib import Path

SHOP = "name: shop\nruntime: python\n"


def write(folder: Path, project_file: str, stack_file: str = "config: {}\n", stack: str = "dev") -> Path:
    (folder / "Pulumi.yaml").write_text(project_file)
    (folder / f"Pulumi.{stack}.yaml").write_text(stack_file)
    (folder / "__main__.py").touch()
    return folder
