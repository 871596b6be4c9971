"""What the sections Evaluate and Train share: they ask about labelled images."""

from collections.abc import Callable
from typing import Any

from MedCNNLib.client import Client, Job
from MedCNNLib.session import Task
from MedCNNLib.steps import Steps

__all__ = ["DataSection"]


class DataSection:
    """A section that asks the worker about labelled images.

    Args:
        ui: The panel's widgets by name.
        owner: The module's widget.
        path: The widget that names the table or folder.
    """

    def __init__(self, ui: Any, owner: Any, path: Any) -> None:
        self._ui, self._owner, self._path = ui, owner, path
        self._client: Client | None = None
        path.connect("currentPathChanged(QString)", self._path_changed)

    @property
    def _data(self) -> str:
        """The table or folder that is named; "" if none is."""
        return self._path.currentPath

    def refresh(self, *, busy: bool) -> None:
        """Enable what can be done now."""
        raise NotImplementedError

    def _path_changed(self, *_: Any) -> None:
        self.refresh(busy=self._owner.isBusy)

    def _ask(
        self,
        words: str,
        kind: str,
        done: Callable[[Job | None], Steps | None],
        **request: Any,
    ) -> None:
        """Hand a job over the data to the worker; `done` shows what it found."""
        request["data"] = self._data

        def submit(client: Client) -> Steps:
            self._client = client
            return client.submitting(kind, **request)

        self._owner.run(Task(words, submit, done))
