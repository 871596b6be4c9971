"""What a worker says of itself, and whether this client understands it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from MedCNNLib.client.errors import WorkerError

if TYPE_CHECKING:
    from MedCNNLib.client.aliases import Facts
    from MedCNNLib.client.steps import Steps
    from MedCNNLib.client.wire import Wire

__all__ = ["API", "greet", "greeting"]

API = 1
"""The version of the worker's interface that this client speaks."""

_WHERE = "/v1/info"


def greet(wire: Wire) -> Facts:
    """Return what the worker is and can do; refuse one of another version."""
    return _known(wire, wire.ask("GET", _WHERE))


def greeting(wire: Wire) -> Steps:
    """As `greet`, in steps."""
    return _known(wire, (yield from wire.asking("GET", _WHERE)))


def _known(wire: Wire, facts: Facts) -> Facts:
    """Keep what a worker says of itself.

    Raises:
        WorkerError: If it speaks another version.
    """
    if facts.get("api") != API:
        message = f"The worker speaks version {facts.get('api')} of its interface"
        message += f" (medcnn {facts.get('version')}), this viewer {API}."
        hint = "Bring both to one version: pip install -U medcnn-imaging."
        raise WorkerError(message, hint, "version")
    wire.limit = facts["limits"]["upload_bytes"]
    return facts
