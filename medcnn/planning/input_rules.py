"""The plan's rules on what the network sees: size, channels, grey values."""

from collections.abc import Callable

from medcnn.planning.draft import Draft
from medcnn.planning.fingerprint import Fingerprint
from medcnn.planning.memory import Machine

__all__ = ["INPUT_RULES", "Rule"]

Rule = Callable[[Fingerprint, Machine, Draft], None]

SIDE = 224
"""Usual side of a picture, in pixels."""

_VOXELS = {False: 80**3, True: 128**3}
_STEP = 16
_VARIES = 0.15
_TOP = {"uint8": 255, "uint16": 65535}
_WINDOWS = {
    "CHEST": ((-600.0, 1500.0), "lung window"),
    "LUNG": ((-600.0, 1500.0), "lung window"),
    "THORAX": ((-600.0, 1500.0), "lung window"),
    "HEAD": ((40.0, 80.0), "brain window"),
    "BRAIN": ((40.0, 80.0), "brain window"),
    "ABDOMEN": ((40.0, 400.0), "soft-tissue window"),
    "PELVIS": ((40.0, 400.0), "soft-tissue window"),
    "LIVER": ((40.0, 400.0), "soft-tissue window"),
}
_WIDE = (0.0, 2000.0)
_IMAGENET = (0.449, 0.226)


def _channels(data: Fingerprint, _machine: Machine, draft: Draft) -> None:
    if data.colour:
        draft.decide("input.channels", 3, "the images are in true colour")
    else:
        draft.decide("input.channels", 1, "the images are grey")


def _shape(data: Fingerprint, machine: Machine, draft: Draft) -> None:
    if data.dims == 3:
        _volume(data, machine, draft)
        return
    columns, rows = (int(n) for n in data.sizes.largest[:2])
    same = data.sizes.smallest == data.sizes.largest
    if data.is_small:
        shape = (rows, columns) if same else (max(rows, columns),) * 2
        why = (
            f"no image is longer than {data.longest_side} pixels: all of them are kept"
        )
    else:
        side = int(min(SIDE, max(data.sizes.median[:2]) // 32 * 32))
        shape = (side, side)
        longest = f"{max(data.sizes.median[:2]):g} pixels"
        why = f"the usual size; the middle image has a longest side of {longest}"
        if side < SIDE:
            why = f"the middle image has a longest side of {longest}"
    draft.decide("input.shape", shape, why)
    square = all(a == b for a, b in (data.sizes.smallest[:2], data.sizes.largest[:2]))
    fit, why = "letterbox", "sides differ: the whole image is kept, and its aspect"
    if same and (square or data.is_small):
        fit, why = "stretch", "all images have this aspect"
    draft.decide("input.fit", fit, why)


def _volume(data: Fingerprint, machine: Machine, draft: Draft) -> None:
    size = data.sizes.median[::-1]
    if data.is_small:
        shape = tuple(int(n) for n in data.sizes.largest[::-1])
        why = f"no volume is longer than {data.longest_side} voxels: all are kept"
        draft.decide("input.shape", shape, why)
        draft.decide("input.fit", "stretch", "volumes are as small as they are")
        return
    spacing = data.spacings_mm.median[::-1] if data.spacings_mm else (1.0, 1.0, 1.0)
    extent = [n * mm for n, mm in zip(size, spacing, strict=True)]
    most = _VOXELS[machine.is_fast]
    cube = extent[0] * extent[1] * extent[2]
    wanted = [
        min(n, e * (most / cube) ** (1 / 3)) for n, e in zip(size, extent, strict=True)
    ]
    shape = tuple(max(_STEP, round(n / _STEP) * _STEP) for n in wanted)
    kind = "a GPU" if machine.is_fast else "a CPU"
    place = "x".join(f"{e:.0f}" for e in extent)
    unit = "mm" if data.spacings_mm else "voxels"
    why = (
        f"about {most:,} voxels for {kind}, shared out by the extent of {place} {unit}"
    )
    draft.decide("input.shape", shape, why)
    _volume_fit(data, draft, extent)


def _volume_fit(data: Fingerprint, draft: Draft, extent: list[float]) -> None:
    if data.oriented:
        why = "every volume says where its axes point: slices are seen as on a screen"
        draft.decide("input.orient", "LPS", why)
    if data.spacings_mm is None or data.extents_vary < _VARIES:
        known = (
            "fields of view are alike" if data.spacings_mm else "no millimetre known"
        )
        draft.decide("input.fit", "stretch", known)
        return
    why = f"fields of view differ by {data.extents_vary:.0%}: the same mm for all"
    draft.decide("input.fit", "spacing", why)
    if draft["input.fit"] == "spacing":
        shape = draft["input.shape"]
        mm = tuple(round(e / n, 3) for e, n in zip(extent, shape, strict=True))
        draft.decide("input.spacing_mm", mm, "the middle field of view fills the shape")


def _grey_values(data: Fingerprint, _machine: Machine, draft: Draft) -> None:
    top = _TOP.get(data.stored[0])
    if data.unit == "HU":
        _hounsfield(data, draft)
    elif data.binary:
        _range(
            draft,
            data.values["p0.5"],
            max(data.values["p99.5"], top or 1),
            "masks of two values",
        )
    elif data.modality == "MR" and not data.is_small and not data.colour:
        why = "MR values mean nothing by themselves: deviations from the mean of what "
        draft.decide("input.zscore", True, why + "is not 0")  # noqa: FBT003
    elif top and (data.colour or (data.is_small and top == 255)):
        what = "colour" if data.colour else "small 8-bit pictures"
        _range(draft, 0, top, f"{what}: one fixed scale keeps brightness comparable")
    else:
        why = (
            "brightness differs between devices: percentiles 0.5 and 99.5 of each image"
        )
        draft.decide("input.percentiles", (0.5, 99.5), f"{why} become 0 and 1")


def _range(draft: Draft, low: float, high: float, why: str) -> None:
    window = ((low + high) / 2, float(high - low) or 1.0)
    draft.decide("input.window", window, f"{why}, {low:g} to {high:g}")


def _hounsfield(data: Fingerprint, draft: Draft) -> None:
    part = next((p for p in data.body_parts if p in _WINDOWS), None)
    if part and len(data.body_parts) == 1:
        window, name = _WINDOWS[part]
        draft.decide("input.window", window, f"CT of {part}: {name}, in HU")
    else:
        why = "CT, and nothing says of what: -1000 to 1000 HU, air to bone"
        draft.decide("input.window", _WIDE, why)


def _scale(data: Fingerprint, _machine: Machine, draft: Draft) -> None:
    if draft.values.get("input.zscore"):
        mean, std, why = (
            0.5,
            0.125,
            "so that the network sees deviations, 0 in the middle",
        )
    elif data.is_small:
        mean, std, why = 0.5, 0.5, "-1 to 1: the network starts from random weights"
    else:
        mean, std = _IMAGENET
        why = "ImageNet's mean and deviation in grey, as pretrained weights expect"
    draft.decide("input.mean", mean, why)
    draft.decide("input.std", std, "as input.mean")


def _bits(data: Fingerprint, _machine: Machine, draft: Draft) -> None:
    wide = draft.values.get("input.zscore") or data.unit == "HU"
    if wide:
        why = "the cache of decoded images keeps 65,536 steps of a wide range"
        draft.decide("input.cache_bits", 16, why)
    else:
        why = "256 steps of what is shown suffice for the cache of decoded images"
        draft.decide("input.cache_bits", 8, why)


def _hang(data: Fingerprint, _machine: Machine, draft: Draft) -> None:
    chest = any(part in {"CHEST", "THORAX", "LUNG"} for part in data.body_parts)
    if data.dims == 2 and data.modalities and data.laterality and chest:
        why = "frontal films that say how the patient lies are hung the usual way"
        draft.decide("input.hang", True, why)  # noqa: FBT003


INPUT_RULES: tuple[Rule, ...] = (_channels, _shape, _grey_values, _scale, _bits, _hang)
