"""How much of a picture's detail a model can see at all."""

from medcnn.preprocessing.pipeline import Preprocessing
from medcnn.preprocessing.steps import Hang, Resize

__all__ = ["first_resize"]


def first_resize(preprocessing: Preprocessing) -> Resize | None:
    """Return the step that averages a picture, if all others see only its averages.

    Returns:
        None if single samples count: for volumes, for a step that looks at values
        before they are averaged, where the size depends on millimetres, and where it
        depends on how the picture is hung.
    """
    is_turned = False
    for step in preprocessing.steps:
        if isinstance(step, Resize):
            is_picture = len(step.shape) == 2 and step.fit != "spacing"
            is_square = len(set(step.shape)) == 1
            return step if is_picture and (is_square or not is_turned) else None
        if not isinstance(step, Hang):
            return None
        is_turned = True
    return None
