"""What `explain` takes besides model and image, and which values are refused."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypedDict

from medcnn.errors import DataError
from medcnn.explanation.perturbation import Progress
from medcnn.preprocessing import Preprocessing

__all__ = ["Settings", "check_settings", "refuse_module_settings"]


class Settings(TypedDict, total=False):
    """What `explain` takes besides; each has a default.

    Attributes:
        batch: Images that are held at once; 8.
        progress: Told (done, total) by methods that ask the network many times.
        window: Occlusion: its sides in pixels of the network.
        stride: Occlusion: from one window to the next.
        steps: Integrated gradients: points on the way; 32.
        samples: SmoothGrad: noisy copies; 16.
        noise: SmoothGrad: the noise's share of the image's range; 0.15.
        seed: SmoothGrad: of the noise; 0.
        labels: A module's: names of its scores; by default "0", "1", ...
        activation: A module's: "softmax" if its classes exclude each other.
        preprocessing: A module's: the steps that turn an Image into what it sees.
        tensor: A module's: what it sees of the Image, (C, rows, columns) or (C,
            slices, rows, columns), if it lies on all of it.
    """

    batch: int
    progress: Progress | None
    window: tuple[int, ...]
    stride: tuple[int, ...]
    steps: int
    samples: int
    noise: float
    seed: int
    labels: Sequence[str]
    activation: Literal["sigmoid", "softmax"]
    preprocessing: Preprocessing
    tensor: Any


def check_settings(settings: Settings) -> None:
    """Refuse what no method can work with.

    Raises:
        DataError: If a setting has no such value.
        TypeError: If there is no such setting.
    """
    unknown = set(settings) - set(Settings.__annotations__)
    if unknown:
        known = ", ".join(Settings.__annotations__)
        msg = f"unknown settings {sorted(unknown)}; there are {known}"
        raise TypeError(msg)
    for name, value in settings.items():
        if name in _RULES and not _RULES[name][0](value):
            msg = f"{name}={value!r} cannot be, expected {_RULES[name][1]}"
            raise DataError(msg)


def refuse_module_settings(settings: Settings) -> None:
    """Refuse what a bundle says itself.

    Raises:
        DataError: If it is among the settings.
    """
    own = {"labels", "activation", "preprocessing", "tensor"} & set(settings)
    if own:
        msg = f"{', '.join(sorted(own))} are for a torch module; a model has its own"
        raise DataError(msg)


def _is_whole(value: Any) -> bool:
    return hasattr(value, "__index__") and int(value) >= 1


def _are_sides(value: Any) -> bool:
    return value is None or (isinstance(value, Sequence) and all(map(_is_whole, value)))


def _is_share(value: Any) -> bool:
    return isinstance(value, (int, float)) and 0 <= value < math.inf


def _are_names(value: Any) -> bool:
    return not isinstance(value, str) and len(set(value)) == len(value)


_COUNT = _is_whole, "a whole number from 1 on"
_SIDES = _are_sides, "whole numbers from 1 on, one for each side"
_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "batch": _COUNT,
    "steps": _COUNT,
    "samples": _COUNT,
    "window": _SIDES,
    "stride": _SIDES,
    "noise": (_is_share, "a share of the image's range, 0 or more"),
    "activation": (lambda x: x in {"sigmoid", "softmax"}, "sigmoid or softmax"),
    "labels": (_are_names, "a name of its own for each score"),
}
