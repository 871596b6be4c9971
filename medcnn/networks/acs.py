"""A 2-D network made to look at volumes: axial, coronal and sagittal convolutions.

A 2-D kernel has no depth. One third of its patterns is laid flat into the axial plane,
one third into the coronal and one third into the sagittal plane. The network then sees
a volume from three sides with the weights, and the number of weights, of its 2-D
original: weights learnt on pictures fit as they are.

References:
    [1] Yang et al., Reinventing 2D convolutions for 3D images, IEEE JBHI 2021.
"""

import torch
from torch import nn
from torch.nn import functional

from medcnn.errors import BundleError

__all__ = ["AcsConv", "to_acs"]

_PLANES = 3


class AcsConv(nn.Conv2d):
    """A 2-D convolution whose patterns look at a volume from three sides.

    The first third of the output channels looks along slices (its kernel spans rows and
    columns), the second along rows, the last along columns. If the channels are no
    multiple of three, the first planes get one more.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (B, O, d, h, w) of a volume (B, C, D, H, W)."""
        stride = (self.stride[0],) * 3
        if self.kernel_size == (1, 1):  # a point looks the same from all sides
            point = self.weight.unsqueeze(2)
            return functional.conv3d(x, point, stride=stride, groups=self.groups)
        sides = []
        for axis, (first, last) in enumerate(self.thirds()):
            kernel = self.weight[first:last].unsqueeze(2 + axis)
            padding = [int(self.padding[0])] * 3
            padding[axis] = 0
            sides.append(functional.conv3d(x, kernel, stride=stride, padding=padding))
        return torch.cat(sides, 1)

    def thirds(self) -> list[tuple[int, int]]:
        """Return the output channels, from and to, of each plane."""
        size, more = divmod(self.out_channels, _PLANES)
        sizes = [size + (plane < more) for plane in range(_PLANES)]
        ends = [sum(sizes[: plane + 1]) for plane in range(_PLANES)]
        return list(zip([0, *ends[:-1]], ends, strict=True))


def to_acs(module: nn.Module) -> nn.Module:
    """Turn a 2-D network's module, and all in it, into one for volumes.

    Raises:
        BundleError: If it holds a convolution that cannot be turned.
    """
    changed = _turned(module)
    if changed is not None:
        return changed
    for name, child in module.named_children():
        setattr(module, name, to_acs(child))
    return module


def _turned(module: nn.Module) -> nn.Module | None:
    """Return what stands for one 2-D layer; None for all else."""
    if isinstance(module, nn.Conv2d):
        return _turned_convolution(module)
    if isinstance(module, nn.BatchNorm2d):
        return nn.BatchNorm3d(module.num_features, eps=module.eps)
    if isinstance(module, nn.MaxPool2d):
        return nn.MaxPool3d(module.kernel_size, module.stride, module.padding)
    return None


def _turned_convolution(old: nn.Conv2d) -> AcsConv:
    square = len({*old.kernel_size}) == len({*old.stride}) == len({*old.padding}) == 1
    if old.bias is not None or not square or set(old.dilation) != {1}:
        msg = f"{old} cannot look from three sides: it must be square, without bias"
        raise BundleError(msg)
    new = AcsConv(
        old.in_channels,
        old.out_channels,
        old.kernel_size[0],
        stride=old.stride[0],
        padding=old.padding[0],
        groups=old.groups,
        bias=False,
    )
    new.weight = old.weight
    return new
