"""What the pages share: their files, and the policy under which they run."""

import base64
import hashlib
import re
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

__all__ = ["asset", "policy", "steady", "templates"]

_STEERING = re.compile(
    r"[\u0000-\u0008\u000e-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]"
)
"""Control characters, and those that turn the direction of all that follows."""


def asset(name: str) -> str:
    """Return a file of the templates folder."""
    folder = resources.files("medcnn.report") / "templates"
    return (folder / name).read_text(encoding="utf-8")


def templates() -> Environment:
    """Return what fills templates: all that is put in is escaped and steady."""
    return Environment(
        loader=PackageLoader("medcnn.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=steady,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def steady(value: Any) -> Any:
    """Return a text without characters that would steer what stands beside it.

    A name from a table could otherwise turn round the sentence that it stands in.
    """
    return (
        _STEERING.sub("\N{REPLACEMENT CHARACTER}", value)
        if type(value) is str
        else value
    )


def policy(style: str, script: str = "") -> str:
    """Return a policy under which nothing runs or loads but our own texts."""
    return "; ".join(
        (
            "default-src 'none'",
            "img-src 'self' data: file:",
            f"style-src '{_hash(style)}'",
            f"script-src '{_hash(script)}'" if script else "script-src 'none'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _hash(text: str) -> str:
    """Return a text's hash as Content-Security-Policy writes it."""
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
