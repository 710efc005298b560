"""What the commands of this package share: how an application is named, and where a tool is found."""

import argparse
import os
import re
import shutil
import sys

_IMPORT_STRING = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


def import_string(text: str) -> str:
    """Accept the name of an application, as an argument's type.

    Raises:
        argparse.ArgumentTypeError: It is none.
    """
    if not _IMPORT_STRING.fullmatch(text):
        raise argparse.ArgumentTypeError(f"want module:attribute, such as app.main:create_app, got {text}")
    return text


def find_tool(name: str) -> str | None:
    """Find a program, beside this interpreter or on the path."""
    return shutil.which(name, path=os.path.dirname(sys.executable)) or shutil.which(name)
