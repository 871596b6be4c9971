"""The pixel spacing of a radiograph, and whether it is true in the patient.

References:
    [1] DICOM PS3.3 10.7.1.3, Pixel Spacing Value Order and Valid Values; 10.7.1.1,
        Pixel Spacing Calibration Type; C.8.7.2 (0018,1114) Estimated Radiographic
        Magnification Factor.
"""

from pydicom.dataset import Dataset

from medcnn.geometry import Frame
from medcnn.io.dicom.tags import number, numbers, text

__all__ = ["picture_spacing"]

_PROJECTIONS = frozenset({"CR", "DX", "IO", "MG", "PX", "RF", "RG", "XA"})
_SAME = 1e-3
_MAGNIFICATION = 0.02


def picture_spacing(
    dataset: Dataset,
) -> tuple[tuple[float, float] | None, Frame, list[str]]:
    """Return the spacing of a picture, where it is true, and what is doubtful.

    (0028,0030) Pixel Spacing is true in the patient where it was calibrated: where it
    differs from (0018,1164) Imager Pixel Spacing, or says how it was calibrated. A
    projection's spacing is otherwise that at its detector.

    Returns:
        (between rows, between columns) in mm or None; the frame; warnings.
    """
    pixel = _pair(dataset, "PixelSpacing")
    imager = _pair(dataset, "ImagerPixelSpacing") or _pair(
        dataset, "NominalScannedPixelSpacing"
    )
    kind = text(dataset, "PixelSpacingCalibrationType").upper()
    if pixel is None:
        note = "(0028,0030) Pixel Spacing is not two positive lengths; it is not used"
        notes = [note] if text(dataset, "PixelSpacing") else []
        return imager, Frame.DETECTOR if imager else Frame.PATIENT, notes
    if imager is None:
        is_open = text(dataset, "Modality").upper() in _PROJECTIONS and not kind
        if not is_open:
            return pixel, Frame.PATIENT, []
        note = (
            "its (0028,0030) Pixel Spacing does not say whether it was calibrated to "
            "the patient; it is taken as that at the detector"
        )
        return pixel, Frame.DETECTOR, [note]
    if _is_same(pixel, imager):
        note = (
            f"(0028,0A02) says that the spacing was calibrated ({kind}), but it is "
            "that of the detector"
        )
        return pixel, Frame.DETECTOR, [note] if kind else []
    return pixel, Frame.PATIENT, _doubts(dataset, pixel, imager, kind)


def _doubts(
    dataset: Dataset,
    pixel: tuple[float, float],
    imager: tuple[float, float],
    kind: str,
) -> list[str]:
    """Return what is doubtful about a calibrated spacing."""
    found = []
    shown = f"{pixel[0]:g} x {pixel[1]:g} mm (at the detector {imager[0]:g} x "
    shown += f"{imager[1]:g} mm)"
    if not kind:
        found.append(f"its Pixel Spacing of {shown} does not say how it was calibrated")
    ratios = imager[0] / pixel[0], imager[1] / pixel[1]
    if abs(ratios[0] / ratios[1] - 1) > _MAGNIFICATION:
        found.append(
            f"its Pixel Spacing of {shown} magnifies rows and columns differently"
        )
    factor = number(dataset, "EstimatedRadiographicMagnificationFactor")
    # a fiducial of known size may lie in another plane than the estimate was made for
    if factor and kind != "FIDUCIAL" and abs(ratios[0] / factor - 1) > _MAGNIFICATION:
        found.append(
            f"its Pixel Spacing of {shown} is magnified {ratios[0]:.3g} times, but "
            f"(0018,1114) says {factor:g}"
        )
    return found


def _pair(dataset: Dataset, keyword: str) -> tuple[float, float] | None:
    """Return two positive lengths, or None."""
    found = numbers(dataset, keyword)
    return (found[0], found[1]) if len(found) == 2 and min(found) > 0 else None


def _is_same(a: tuple[float, float], b: tuple[float, float]) -> bool:
    """Say whether two spacings are equal but for rounding."""
    return all(abs(x - y) <= _SAME * y for x, y in zip(a, b, strict=True))
