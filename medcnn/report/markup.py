"""What the pages share: their files, and the policy under which they run."""

import base64
import hashlib
from importlib import resources

__all__ = ["asset", "policy"]


def asset(name: str) -> str:
    """Return a file of the templates folder."""
    folder = resources.files("medcnn.report") / "templates"
    return (folder / name).read_text(encoding="utf-8")


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
