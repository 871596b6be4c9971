"""The sanity check: a map that stays as it is without the weights shows the image.

Weights are shuffled in a copy of the bundle, first those of the head, then all, so that
it needs neither torch nor another engine.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from medcnn.bundle import WEIGHTS, Bundle, file_sha256
from medcnn.engines import EngineName, open_engine
from medcnn.evaluation.trust import Randomised
from medcnn.model import Model
from medcnn.trust.alike import rank_correlation
from medcnn.trust.looking import Looked, Maps
from medcnn.trust.means import Group

__all__ = ["PARTS", "Likeness", "Part", "likeness", "shuffled", "summary"]

Part = Literal["head", "all weights"]
PARTS: tuple[Part, ...] = ("head", "all weights")


@dataclass(frozen=True)
class Likeness:
    """How alike an image's map is before and after.

    Attributes:
        number: Of its case.
        correlation: Spearman's; None where one of the maps is equal everywhere.
    """

    number: int
    correlation: float | None


@contextmanager
def shuffled(model: Model, part: Part, *, seed: int = 0) -> Iterator[Model]:
    """Open a copy of a model whose weights are shuffled; it is gone afterwards.

    Each array of weights with two axes or more is put in random order, which keeps its
    mean and spread; normalisation and biases stay.

    Args:
        model: The open model.
        part: "head" leaves the feature map as it is; "all weights" leaves nothing.
        seed: Of the order.

    References:
        [1] Adebayo et al., Sanity checks for saliency maps, NeurIPS 2018, section 3.
    """
    bundle = model.bundle
    with tempfile.TemporaryDirectory(prefix="medcnn-shuffled-") as folder:
        copy = Path(folder)
        for name in bundle.spec.files:
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(bundle.path / name, copy / name)
        names = {bundle.spec.head.weight} if part == "head" else None
        _shuffle(copy / WEIGHTS, names, np.random.default_rng(seed))
        files = bundle.spec.files | {WEIGHTS: file_sha256(copy / WEIGHTS)}
        spec = bundle.spec.model_copy(update={"files": files})
        other = Bundle(copy, spec)
        yield Model(other, open_engine(other, engine=_name(model)))


def likeness(
    model: Model, other: Model, looked: Looked, label: str, maps: Maps
) -> Likeness:
    """Compare an image's map with the map of the model with shuffled weights."""
    answer = next(other.stream([looked.prepared.tensor]))
    again = replace(looked, answer=answer)
    before, after = maps(model, looked, label), maps(other, again, label)
    return Likeness(looked.number, rank_correlation(before, after))


def summary(
    part: Part, found: Sequence[Likeness], patients: Sequence[str], group: Group
) -> Randomised:
    """Return the mean by patient; a map without any ranks is like nothing.

    Args:
        part: Whose weights were shuffled.
        found: At least one.
        patients: Whose each case is; "" where not known.
        group: How means are made.
    """
    codes, _ = group.codes([patients[one.number] for one in found])
    values = np.array([one.correlation or 0.0 for one in found])
    return Randomised(
        part=part,
        images=len(found),
        correlation=group.mean(values, codes),
        equal_maps=sum(one.correlation is None for one in found),
    )


def _shuffle(path: Path, names: set[str] | None, rng: np.random.Generator) -> None:
    """Put the named arrays, or all weights, of a safetensors file in random order.

    The bytes change in place, so that the graph's references stay right.
    """
    content = bytearray(path.read_bytes())
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    for name in sorted(header.keys() - {"__metadata__"}):
        facts = header[name]
        chosen = len(facts["shape"]) > 1 if names is None else name in names
        size = int(np.prod(facts["shape"], dtype=np.int64))
        if not chosen or size < 2 or not facts["dtype"].startswith(("F", "BF")):
            continue
        low, high = (start + place for place in facts["data_offsets"])
        cells = np.frombuffer(content, np.uint8, high - low, low).reshape(size, -1)
        content[low:high] = rng.permutation(cells, axis=0).tobytes()
    path.write_bytes(content)


def _name(model: Model) -> EngineName:
    """Return the engine that a model runs in, to open another like it."""
    names: dict[str, EngineName] = {
        "openvino": "openvino",
        "openvino int8": "openvino",
        "onnxruntime": "onnxruntime",
        "torch": "torch",
    }
    return names.get(model.engine.name, "auto")
