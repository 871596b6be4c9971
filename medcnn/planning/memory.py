"""How much memory a training step takes, by network: the ground for the batch size."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Machine", "bytes_per_image"]

_BYTES_PER_VOXEL = {
    ("basic_cnn", 2): 330,
    ("basic_cnn", 3): 210,
    ("densenet121", 2): 2600,
    ("densenet121", 3): 460,
    ("efficientnet-b0", 2): 1820,
    ("resnet18", 2): 440,
    ("resnet18", 3): 130,
    ("resnet50", 2): 1710,
    ("resnet50", 3): 340,
}
"""What a step keeps for its way back, per pixel or voxel of the input, in 32 bits.

Measured: the storage that autograd saves in one forward pass in training mode, without
the weights, by pixels of the input (224 x 224, 64 x 64 x 64).
"""

_USUAL = 2600
_SMALL_STEM = {2: 4720 / 435, 3: 3340 / 124}
"""How many times as much a ResNet-18 keeps with the stem that keeps the resolution."""

_RESNET_WIDTH = 64


class Machine(BaseModel):
    """What the training is to run on.

    Attributes:
        device: "cpu", "cuda" or "mps".
        memory_gb: Memory of the GPU, or of the computer.
        cores: CPU cores.
        half: Whether most numbers are kept in 16 bits.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    device: str = "cpu"
    memory_gb: float = Field(default=8.0, gt=0)
    cores: int = Field(default=2, ge=1)
    half: bool = False

    @property
    def is_fast(self) -> bool:
        """Whether it computes some ten times as fast as a usual CPU."""
        return self.device == "cuda"


def bytes_per_image(
    network: str, arguments: Mapping[str, Any], shape: tuple[int, ...]
) -> float:
    """Return about how many bytes one image of a batch takes in training.

    Args:
        network: Its name.
        arguments: What it is built with; a stem and a width count.
        shape: (rows, columns) or (slices, rows, columns).
    """
    dims = len(shape)
    each: float = _BYTES_PER_VOXEL.get((network, dims), _USUAL)
    stem = arguments.get("stem", "usual")
    if stem != "usual":
        each *= _SMALL_STEM[dims] / (2**dims if stem == "half" else 1)
    each *= arguments.get("width", _RESNET_WIDTH) / _RESNET_WIDTH
    voxels = 1
    for side in shape:
        voxels *= side
    return each * voxels
