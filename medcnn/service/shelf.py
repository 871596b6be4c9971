"""Which models there are: those that come with medcnn, and one's own in a folder."""

from pathlib import Path
from typing import Any

from medcnn.bundle import SPEC, Bundle, open_bundle
from medcnn.bundle_places import OWN, models_folder, own_bundles, shipped_bundles
from medcnn.errors import BundleError, ServiceError

__all__ = ["OWN", "Shelf", "facts_of", "models_folder"]


class Shelf:
    """The models, looked for anew at every question.

    Args:
        folder: One's own models: each folder in it with a bundle.json.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._seen: dict[Path, tuple[int, Bundle]] = {}

    def ids(self) -> list[str]:
        """Return the ids of all models, shipped ones first."""
        return [*shipped_bundles(), *own_bundles(self.folder)]

    def bundle(self, model: str) -> Bundle:
        """Open and check a model; one that did not change is not checked again.

        Raises:
            BundleError: If it is not as it should be.
            ServiceError: If there is no such model.
        """
        known = self.ids()
        if model not in known:
            msg = f"There is no model {model!r}."
            hint = f"There are {', '.join(known) or 'none'}."
            hint += f" Your own lie in {self.folder}."
            raise ServiceError(msg, kind="missing", hint=hint)
        if not model.startswith(OWN):
            return self._open(open_bundle(model).path)
        return self._open(self.folder / model.removeprefix(OWN))

    def facts(self) -> list[dict[str, Any]]:
        """Return what each model says of itself, as JSON values."""
        found = []
        for model in self.ids():
            try:
                found.append(facts_of(model, self.bundle(model)))
            except (BundleError, ServiceError) as error:
                own = model.startswith(OWN)
                found.append(_blank(model, own=own) | {"error": str(error)})
        return found

    def _open(self, path: Path) -> Bundle:
        try:
            changed = (path / SPEC).stat().st_mtime_ns
        except OSError:
            return open_bundle(path)  # says what is wrong
        seen = self._seen.get(path)
        if seen is None or seen[0] != changed:
            seen = changed, open_bundle(path)
            self._seen[path] = seen
        return seen[1]


def facts_of(model: str, bundle: Bundle) -> dict[str, Any]:
    """Return what a model says of itself, as JSON values."""
    spec = bundle.spec
    return _blank(model, own=model.startswith(OWN)) | {
        "name": spec.name,
        "version": spec.version,
        "summary": spec.summary,
        "labels": list(spec.labels),
        "number_kind": spec.number_kind,
        "dims": spec.input.dims,
        "modalities": list(spec.gate.modalities),
        "input_shape": list(spec.input.shape),
        "network": spec.network.name,
        "sha256": bundle.sha256,
        "trained": spec.training.date,
        "operating_points": [p.model_dump() for p in spec.operating_points],
        "evaluation": [score.model_dump(mode="json") for score in spec.evaluation],
        "has_places": spec.network.name != "mlp",
    }


def _blank(model: str, *, own: bool) -> dict[str, Any]:
    """Return the facts of a model that says nothing."""
    texts = ["name", "version", "summary", "network", "sha256", "trained", "error"]
    texts.append("number_kind")
    lists = ("labels", "modalities", "input_shape", "operating_points", "evaluation")
    return {
        "id": model,
        "own": own,
        "dims": 0,
        "has_places": False,
        **dict.fromkeys(texts, ""),
        **{name: [] for name in lists},
    }
