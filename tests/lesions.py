"""A lesion planted at a known place in mm, and a small network that looks for it."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import nn

from medcnn.geometry import Geometry
from medcnn.image import Image
from medcnn.preprocessing import Hang, Orient, Preprocessing, Resize, Window

__all__ = ["Planted", "lesion_finder", "planted"]

HANGINGS = ("L\\F", "R\\F", "L\\H", "R\\H", "F\\L", "H\\R", "")
CODES = ("LPS", "RAS", "ASR", "ILP", "SPL")
NETWORK_SIZE = {2: (24, 20), 3: (18, 16, 20)}


@dataclass(frozen=True, eq=False)
class Planted:
    """An image with a bright ball, where the ball is, and how a network sees it."""

    image: Image
    centre_mm: np.ndarray
    radius_mm: float
    recipe: Preprocessing

    def holds(self, voxel):
        """Say whether a voxel's centre lies in the lesion, in world millimetres."""
        place = self.image.geometry.affine[:3] @ [*voxel, 1]
        return bool(np.linalg.norm(place - self.centre_mm) <= self.radius_mm)


def planted(seed, dims):
    """Plant a lesion in a random oblique, anisotropic, flipped, cropped image."""
    rng = np.random.default_rng(seed)
    shape = rng.integers(26, 44, 3)
    spacing = rng.uniform(0.8, 2.2, 3)
    if dims == 2:
        shape[2] = 1
    turn = Rotation.random(rng=rng).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag(spacing * rng.choice([-1, 1], 3))
    affine[:3, 3] = rng.uniform(-100, 100, 3)
    geometry = Geometry(tuple(shape), affine)
    inside = rng.uniform(0.33, 0.67, 3) * (shape - 1)
    if dims == 2:
        inside[2] = 0
    centre = affine[:3] @ [*inside, 1]
    radius = (0.22 if dims == 2 else 0.28) * float((shape * spacing)[:dims].min())
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    far = np.linalg.norm(grid @ affine[:3, :3].T + affine[:3, 3] - centre, axis=-1)
    values = rng.normal(100, 4, tuple(shape)) + 90 * (far < 0.8 * radius)
    facts = {"patient_orientation": HANGINGS[seed % len(HANGINGS)]}
    image = Image(values[None].astype(np.float32), geometry=geometry, facts=facts)
    return Planted(image, centre, radius, _recipe(rng, dims, shape, spacing))


def _recipe(rng, dims, shape, spacing):
    size = NETWORK_SIZE[dims]
    fit = ("stretch", "letterbox", "spacing")[rng.integers(3)]
    mm = None
    if fit == "spacing":  # 0.85 of the widest side is seen, the rest is cut off
        mm = (0.85 * float((shape * spacing)[:dims].max()) / min(size),) * dims
    resize = Resize(shape=size, fit=fit, spacing_mm=mm)
    first = Hang() if dims == 2 else Orient(codes=CODES[rng.integers(len(CODES))])
    return Preprocessing(steps=(first, resize, Window(center=100, width=200)))


def lesion_finder(dims):
    """Build a network that answers to bright spots, and to nothing else.

    Its first score rises with bright spots and falls with dark ones; its second does
    the opposite.
    """
    convolution = nn.Conv2d if dims == 2 else nn.Conv3d
    pooling = nn.AvgPool2d if dims == 2 else nn.AvgPool3d
    kernel = torch.zeros(3, 1, *[3] * dims)
    middle = (1,) * dims
    kernel[(0, 0, *middle)] = 20.0  # bright
    kernel[(1, 0, *middle)] = -1.0  # dark
    kernel[(2, 0)] = 0.1 / 3**dims  # bright all around
    layers = convolution(1, 3, 3, padding=1)
    with torch.no_grad():
        layers.weight.copy_(kernel)
        layers.bias.copy_(torch.tensor([-20 * 0.68, 0.32, -0.06]))
    head = nn.Linear(3, 2)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[2.0, -0.5, 1.0], [-2.0, 0.5, -1.0]]))
        head.bias.zero_()
    return nn.Sequential(
        layers, nn.ReLU(inplace=True), pooling(2), _Average(), head
    ).eval()


class _Average(nn.Module):
    def forward(self, x):
        return x.flatten(2).mean(2)
