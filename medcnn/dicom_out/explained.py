"""An explained image and its source to a case."""

from importlib.metadata import PackageNotFoundError, version

from medcnn.dicom_out.case import Case, Mapped, ModelFacts
from medcnn.dicom_out.codes import Codes
from medcnn.dicom_out.source import Source
from medcnn.explanation import Explained, shown
from medcnn.explanation.legend import overlay_with_legend
from medcnn.image import Image
from medcnn.model import Model

__all__ = ["case_of"]


def case_of(
    model: Model,
    image: Image,
    source: Source,
    explained: Explained,
    codes: Codes | None = None,
) -> Case:
    """Return the case of an image that a model has explained.

    Args:
        model: That model.
        image: The image.
        source: The objects that it was read from.
        explained: Its answer and its maps.
        codes: What a site calls findings; None takes the usual.
    """
    answered = explained.answered
    hottest = explained.hottest or (None,) * len(explained.heatmaps)
    maps = []
    for heatmap, most in zip(explained.heatmaps, hottest, strict=True):
        scale = shown(model, heatmap, most)
        picture = overlay_with_legend(image, heatmap, answered, scale)
        maps.append(Mapped(heatmap, scale.levels, picture))
    return Case(
        image=image,
        source=source,
        prediction=answered,
        maps=tuple(maps),
        model=ModelFacts.of(model, software=_own_version()),
        codes=codes or Codes(),
    )


def _own_version() -> str:
    try:
        return version("medcnn-imaging")
    except PackageNotFoundError:  # run from its source
        return "source"
