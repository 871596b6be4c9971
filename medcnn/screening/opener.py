"""A run's model, opened when it is needed and not before."""

from pathlib import Path

from medcnn.bundle import SPEC, BundleSpec, Precision, open_bundle
from medcnn.engines import EngineName, runs_in
from medcnn.model import Model

__all__ = ["Opener"]


class Opener:
    """Checks a model's bundle at once, and opens its engine when asked to.

    Args:
        model: An open model, a shipped one's name, or a bundle's directory.
        engine: What runs the network, if it is not open yet.
        device: Where, if it is not open yet.
        precision: "int8" for its 8-bit network, if it is not open yet.

    Raises:
        BundleError: If the bundle is not there or not as it should be.
    """

    def __init__(
        self,
        model: Model | str | Path,
        engine: EngineName,
        device: str,
        precision: Precision,
    ) -> None:
        self._open: Model | None = None
        self._engine, self._device, self._precision = engine, device, precision
        if isinstance(model, Model):
            self._open = model
            self._bundle = model.bundle
        else:
            self._bundle = open_bundle(model).at(precision)

    @property
    def spec(self) -> BundleSpec:
        """What bundle.json says."""
        return self._bundle.spec

    @property
    def sha256(self) -> str:
        """Checksum of the weights."""
        return self._bundle.sha256

    @property
    def size_bytes(self) -> int:
        """Of the model's files."""
        names = (SPEC, *self.spec.files)
        return sum((self._bundle.path / name).stat().st_size for name in names)

    def runs_in(self) -> tuple[str, str]:
        """Return the name and device of the engine, open or not.

        Raises:
            EngineError: If there is no such engine or device.
            MissingDependencyError: If it needs torch, which is not installed.
        """
        if self._open is not None:
            return self._open.engine.name, self._open.engine.device
        return runs_in(self._engine, device=self._device, precision=self._precision)

    def model(self) -> Model:
        """Return the open model.

        Raises:
            EngineError: If the engine or device cannot be had.
            MissingDependencyError: If the engine is not installed.
        """
        if self._open is None:
            self._open = Model.open(
                self._bundle.path,
                engine=self._engine,
                device=self._device,
                precision=self._precision,
            )
        return self._open
