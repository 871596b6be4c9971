"""Relevance by hiding: the network is asked again about changed images, in any engine.

What is hidden becomes grey: the image's own mean, channel by channel. Only a few
images are held at once.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import numpy.typing as npt

from medcnn.errors import DataError
from medcnn.preprocessing.resample import resize

__all__ = ["Ask", "Progress", "grey", "occlusion", "score_cam"]

F32 = npt.NDArray[np.float32]
Ask = Callable[[Iterable[F32]], Iterator[F32]]
"""Takes images (C, ...) and yields the scores (L,) of each, in order."""
Progress = Callable[[int, int | None], None]
"""Is told (done, total)."""

_WINDOWS = {2: 8, 3: 4}  # a window's side is the image's, divided by this


def grey(tensor: F32) -> F32:
    """Return an image of the same shape that holds each channel's mean."""
    axes = tuple(range(1, tensor.ndim))
    means = tensor.mean(axis=axes, keepdims=True, dtype=np.float64)
    return np.broadcast_to(means.astype(np.float32), tensor.shape)


def occlusion(
    ask: Ask,
    tensor: F32,
    *,
    window: tuple[int, ...] | None = None,
    stride: tuple[int, ...] | None = None,
    progress: Progress | None = None,
) -> F32:
    """Return how far each score falls when a window around each place is grey.

    Args:
        ask: The network.
        tensor: (C, ...).
        window: Its sides in pixels of the network; by default an eighth of each side of
            a picture, a quarter of a volume's.
        stride: From one window to the next; by default half a window.
        progress: Told after each window.

    Returns:
        (L, ...) on the tensor's grid, of both signs: the mean over the windows that
        cover a pixel of score of the image less score without the window.

    Raises:
        DataError: If the windows do not suit the image.

    References:
        [1] Zeiler & Fergus, Visualizing and understanding convolutional networks,
            ECCV 2014.
    """
    shape = tensor.shape[1:]
    places = _windows(shape, window, stride)
    hidden = grey(tensor)

    def images() -> Iterator[F32]:
        yield tensor
        for place in places:
            changed = tensor.copy()
            changed[(slice(None), *place)] = hidden[(slice(None), *place)]
            yield changed

    answers = ask(images())
    whole = next(answers)
    falls = np.zeros((len(whole), *shape), np.float64)
    times = np.zeros(shape, np.int64)
    for number, (place, scores) in enumerate(zip(places, answers, strict=True)):
        fall = (whole - scores).reshape(-1, *[1] * len(shape))
        falls[(slice(None), *place)] += fall
        times[place] += 1
        if progress is not None:
            progress(number + 1, len(places))
    return np.asarray(falls / times, dtype=np.float32)


def score_cam(
    ask: Ask, tensor: F32, features: F32, *, progress: Progress | None = None
) -> F32:
    """Weigh each feature by the score of the image seen through it alone.

    Each feature's map, brought to the image's size and to 0 to 1, shows the image where
    it is high and grey where it is low. Its weight is the softmax over all features of
    the scores of these images.

    Args:
        ask: The network.
        tensor: (C, ...).
        features: (F, places...).
        progress: Told after each feature.

    Returns:
        Relevance >= 0, (L, places...).

    References:
        [1] Wang et al., Score-CAM, CVPR workshops 2020.
    """
    hidden = grey(tensor)
    shape = tensor.shape[1:]

    def images() -> Iterator[F32]:
        for feature in features:
            low, high = float(feature.min()), float(feature.max())
            if high <= low:  # it sees nothing anywhere
                yield np.ascontiguousarray(hidden)
                continue
            mask = resize(((feature - low) / (high - low))[None], shape)
            yield hidden + (tensor - hidden) * mask.astype(np.float32)

    told = []
    for number, scores in enumerate(ask(images())):
        told.append(scores)
        if progress is not None:
            progress(number + 1, len(features))
    raised = np.array(told, np.float64)  # (F, L)
    raised = np.exp(raised - raised.max(axis=0))
    weights = (raised / raised.sum(axis=0)).T.astype(np.float32)
    flat = weights @ features.reshape(len(features), -1)
    positive = np.asarray(np.maximum(flat, 0), dtype=np.float32)
    return positive.reshape(-1, *features.shape[1:])


def _windows(
    shape: tuple[int, ...],
    window: tuple[int, ...] | None,
    stride: tuple[int, ...] | None,
) -> list[tuple[slice, ...]]:
    """Return where the windows lie; together they cover the image.

    Raises:
        DataError: If they have other axes than the image, or leave gaps.
    """
    parts = _WINDOWS[len(shape)]
    sides = tuple(window or (max(1, round(n / parts)) for n in shape))
    steps = tuple(stride or (max(1, n // 2) for n in sides))
    msg = f"window={window} and stride={stride} do not suit an image of {shape}: "
    if not len(sides) == len(steps) == len(shape):
        msg += f"expected {len(shape)} numbers each"
        raise DataError(msg)
    if any(step > side for step, side in zip(steps, sides, strict=True)):
        msg += "a stride longer than the window leaves gaps"
        raise DataError(msg)
    sides = tuple(min(a, b) for a, b in zip(sides, shape, strict=True))
    starts = [_starts(n, w, s) for n, w, s in zip(shape, sides, steps, strict=True)]
    return [
        tuple(slice(a, a + w) for a, w in zip(corner, sides, strict=True))
        for corner in itertools.product(*starts)
    ]


def _starts(size: int, window: int, step: int) -> list[int]:
    """Return where windows begin so that they reach the end."""
    count = math.ceil((size - window) / step)
    return [min(n * step, size - window) for n in range(count + 1)]
