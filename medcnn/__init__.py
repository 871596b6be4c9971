"""medcnn: classify medical images, show why, and measure how well.

The public names. Each loads its module when it is first used, so that importing medcnn
takes a blink and brings in neither torch nor OpenVINO.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from medcnn.errors import MissingDependencyError

if TYPE_CHECKING:
    from medcnn.assessment import calibrate as calibrate
    from medcnn.assessment import compare as compare
    from medcnn.assessment import evaluate as evaluate
    from medcnn.bundle import Bundle as Bundle
    from medcnn.bundle import open_bundle as open_bundle
    from medcnn.bundle import own_bundles as own_bundles
    from medcnn.bundle import shipped_bundles as shipped_bundles
    from medcnn.errors import MedcnnError as MedcnnError
    from medcnn.explanation import explain as explain
    from medcnn.exporting import export as export
    from medcnn.exporting import quantise as quantise
    from medcnn.geometry import Geometry as Geometry
    from medcnn.image import Image as Image
    from medcnn.image import Study as Study
    from medcnn.importing import import_model as import_model
    from medcnn.io import Description as Description
    from medcnn.io import ReadOptions as ReadOptions
    from medcnn.io import describe as describe
    from medcnn.io import load as load
    from medcnn.io import load_study as load_study
    from medcnn.io.slide import Slide as Slide
    from medcnn.io.slide import open_slide as open_slide
    from medcnn.isolation import SafeReader as SafeReader
    from medcnn.model import Model as Model
    from medcnn.report import write_report as write_report
    from medcnn.results import CaseResult as CaseResult
    from medcnn.results import Heatmap as Heatmap
    from medcnn.results import Prediction as Prediction
    from medcnn.samples import write_samples as write_samples
    from medcnn.screening import screen as screen
    from medcnn.slides import SlideResult as SlideResult
    from medcnn.slides import screen_slide as screen_slide
    from medcnn.training import train as train

_HOME = {
    "Bundle": "medcnn.bundle",
    "CaseResult": "medcnn.results",
    "Description": "medcnn.io",
    "Geometry": "medcnn.geometry",
    "Heatmap": "medcnn.results",
    "Image": "medcnn.image",
    "MedcnnError": "medcnn.errors",
    "Model": "medcnn.model",
    "Prediction": "medcnn.results",
    "SafeReader": "medcnn.isolation",
    "Slide": "medcnn.io.slide",
    "SlideResult": "medcnn.slides",
    "Study": "medcnn.image",
    "ReadOptions": "medcnn.io",
    "calibrate": "medcnn.assessment",
    "compare": "medcnn.assessment",
    "describe": "medcnn.io",
    "evaluate": "medcnn.assessment",
    "explain": "medcnn.explanation",
    "export": "medcnn.exporting",
    "import_model": "medcnn.importing",
    "load": "medcnn.io",
    "load_study": "medcnn.io",
    "open_bundle": "medcnn.bundle",
    "open_slide": "medcnn.io.slide",
    "own_bundles": "medcnn.bundle",
    "quantise": "medcnn.exporting",
    "screen": "medcnn.screening",
    "screen_slide": "medcnn.slides",
    "shipped_bundles": "medcnn.bundle",
    "train": "medcnn.training",
    "write_report": "medcnn.report",
    "write_samples": "medcnn.samples",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for.

    Raises:
        AttributeError: If there is no such name.
        MissingDependencyError: If it needs a library that is not installed.
        ModuleNotFoundError: If a part of medcnn itself is missing.
    """
    if name not in _HOME:
        msg = f"module 'medcnn' has no attribute {name!r}"
        raise AttributeError(msg)
    try:
        value = getattr(import_module(_HOME[name]), name)
    except ModuleNotFoundError as error:
        if (error.name or "medcnn").partition(".")[0] == "medcnn":
            raise
        msg = f"medcnn.{name} needs {error.name}, which is not installed"
        hint = "Add it: pip install 'medcnn-imaging[train]'"
        raise MissingDependencyError(msg, hint=hint) from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
