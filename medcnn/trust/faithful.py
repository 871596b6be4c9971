"""Deletion and insertion: does the score follow the pixels that a map calls hot?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from medcnn.evaluation.trust import Faithfulness, Ordered, is_beyond
from medcnn.metrics.localisation import centre_map
from medcnn.model import Model
from medcnn.preprocessing.resample import resize
from medcnn.trust.looking import Looked, Maps, on_tensor
from medcnn.trust.means import Codes, Group

__all__ = ["BLUR", "SHARES", "Curves", "curves_of", "summary"]

Tensor = npt.NDArray[np.float32]
FloatArray = npt.NDArray[np.float64]

SHARES = tuple(n / 16 for n in range(17))
"""Which shares of the pixels are gone, or there."""

BLUR = 0.05
"""Standard deviation of the blur, in lengths of each side: 11 of 224 pixels."""

_COARSE = 7
"""Cells of the noise along each axis, where the model keeps no places."""


@dataclass(frozen=True, eq=False)
class Curves:
    """The curves of one image.

    Attributes:
        number: Of its case.
        probabilities: (2, 3, shares): deletion and insertion; the order of the map, of
            noise, of the centre.
    """

    number: int
    probabilities: FloatArray


def curves_of(
    model: Model, looked: Looked, label: str, maps: Maps, *, seed: int = 0
) -> Curves:
    """Return how a label's probability falls and rises with the pixels.

    Deletion sets the hottest pixels of what the network sees to the image's mean, more
    and more of them; insertion begins with the blurred image and sharpens the hottest
    first. Equally hot pixels are ordered by chance, the same for each seed and case.
    Noise is as coarse as the feature map: single pixels of salt and pepper would look
    like no image at all, and every map would beat them.

    Args:
        model: The open model.
        looked: The image and its answer.
        label: Whose probability.
        maps: The method.
        seed: Of noise and of equally hot pixels.

    References:
        [1] Petsiuk, Das & Saenko, RISE, BMVC 2018, section 4.3.
    """
    tensor = looked.prepared.tensor
    rng = np.random.default_rng([seed, looked.number])
    maps_of = (
        on_tensor(maps(model, looked, label), looked.prepared),
        _noise(looked, rng),
        centre_map(tensor.shape[1:]),
    )
    orders = [_order(relevance, rng) for relevance in maps_of]
    answers = model.stream(_steps(tensor, orders))
    told = iter(answer.prediction.probabilities[label] for answer in answers)
    intact, flat, blurred = (next(told) for _ in range(3))
    found = np.empty((2, len(orders), len(SHARES)))
    found[0, :, 0], found[0, :, -1] = intact, flat
    found[1, :, 0], found[1, :, -1] = blurred, intact
    for kind, order, share in np.ndindex(2, len(orders), len(SHARES) - 2):
        found[kind, order, share + 1] = next(told)
    return Curves(looked.number, found)


def summary(
    curves: Sequence[Curves], label: str, patients: Sequence[str], group: Group
) -> Faithfulness:
    """Return the areas under all curves, by patient.

    Args:
        curves: At least one.
        label: Whose probability.
        patients: Whose each case is; "" where not known.
        group: How means are made.
    """
    codes, _ = group.codes([patients[one.number] for one in curves])
    every = np.stack([one.probabilities for one in curves])  # (N, 2, 3, shares)
    deletion, insertion = (_ordered(every[:, kind], codes, group) for kind in (0, 1))
    return Faithfulness(
        label=label,
        images=len(curves),
        shares=SHARES,
        deletion=deletion,
        insertion=insertion,
        deleted_become="the image's mean",
        inserted_into=f"the image blurred by {BLUR:g} of each side",
        verdict=is_beyond(
            (deletion.less_random, insertion.less_random),
            (-1, 1),
            int(codes.max()) + 1,
        ),
    )


def _ordered(every: FloatArray, codes: Codes, group: Group) -> Ordered:
    """Return the areas of (N, 3, shares) curves."""
    areas = np.asarray(np.trapezoid(every, SHARES, axis=-1))
    own, random, centre = (areas[:, n] for n in range(3))
    mean = every.mean(axis=0)
    of_map, of_random, of_centre = (tuple(map(float, line)) for line in mean)
    return Ordered(
        value=group.mean(own, codes),
        random=group.mean(random, codes),
        centre=group.mean(centre, codes),
        less_random=group.difference(own, random, codes),
        less_centre=group.difference(own, centre, codes),
        curve=of_map,
        random_curve=of_random,
        centre_curve=of_centre,
    )


def _steps(tensor: Tensor, orders: Sequence[npt.NDArray[np.intp]]) -> Iterator[Tensor]:
    """Yield the image, its two baselines, then every step, one at a time."""
    axes = tuple(range(1, tensor.ndim))
    flat = np.broadcast_to(tensor.mean(axis=axes, keepdims=True), tensor.shape)
    blurred = _blurred(tensor)
    yield tensor
    yield np.ascontiguousarray(flat)
    yield blurred
    for start, end in ((tensor, flat), (blurred, tensor)):
        from_pixels, to_pixels = (x.reshape(len(tensor), -1) for x in (start, end))
        for order in orders:
            for share in SHARES[1:-1]:
                changed = order[: round(share * order.size)]
                step = from_pixels.copy()
                step[:, changed] = to_pixels[:, changed]
                yield step.reshape(tensor.shape)


def _order(
    relevance: npt.NDArray[np.floating], rng: np.random.Generator
) -> npt.NDArray[np.intp]:
    """Return the pixels from the hottest on; chance orders the equally hot."""
    flat = relevance.ravel()
    return np.lexsort((rng.random(flat.size), -flat))


def _noise(looked: Looked, rng: np.random.Generator) -> Tensor:
    """Return noise as coarse as the feature map, on the tensor's grid."""
    size = looked.prepared.tensor.shape[1:]
    cells = looked.answer.features.shape[1:] or tuple(min(_COARSE, n) for n in size)
    return np.asarray(resize(rng.random((1, *cells), np.float32), size)[0])


def _blurred(tensor: Tensor) -> Tensor:
    """Blur each channel; no side becomes darker, since edges are repeated."""
    widths = (0.0, *(BLUR * n for n in tensor.shape[1:]))
    return np.asarray(
        ndimage.gaussian_filter(tensor, widths, mode="nearest"), np.float32
    )
