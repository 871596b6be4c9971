"""One parsed header to plain records: the file, and each plane in it."""

from pathlib import Path

from pydicom.dataset import Dataset

from medcnn.geometry import Frame
from medcnn.io.dicom.facts import facts_of, identity_of
from medcnn.io.dicom.pixels.plan import Plan
from medcnn.io.dicom.tags import number, numbers, text
from medcnn.io.dicom.volumes.frames import frame_headers
from medcnn.io.dicom.volumes.grid import picture_geometry
from medcnn.io.dicom.volumes.keys import keys_of
from medcnn.io.dicom.volumes.mosaic import is_mosaic, tiles_of
from medcnn.io.dicom.volumes.offsets import offset_planes
from medcnn.io.dicom.volumes.records import FileRecord, Numbers, Plane

__all__ = ["record_of"]


def record_of(dataset: Dataset, plan: Plan, path: Path | None) -> FileRecord:
    """Make the record of a parsed header.

    Args:
        dataset: The data set, with or without its pixels.
        plan: What is done to its pixels.
        path: The file.

    Raises:
        ReadError: If the spacing of a picture makes no grid, or it is a mosaic that
            does not say how it is laid out.
    """
    planes = _planes(dataset, plan, path)
    is_placed = all(p.position and p.cosines for p in planes)
    layout, warnings = plan.layout, list(plan.warnings)
    affine: Numbers = ()
    frame = Frame.PATIENT
    if not is_placed and layout.frames == 1:
        size = (layout.columns, layout.rows)
        grid, notes = picture_geometry(dataset, size, path)
        warnings += notes
        if grid is not None:
            affine, frame = tuple(grid.affine[:3].ravel().tolist()), grid.frame
    elif not is_placed:
        warnings.append(f"{layout.frames} frames without geometry; k counts frames")
    return FileRecord(
        path="" if path is None else str(path),
        series_uid=text(dataset, "SeriesInstanceUID"),
        series_number=text(dataset, "SeriesNumber"),
        modality=text(dataset, "Modality"),
        channels=1 if plan.grey else 3,
        planes=planes,
        forms=plan.forms,
        units=tuple(grey.unit for grey in plan.grey) or (None,),
        warnings=tuple(warnings),
        facts=facts_of(dataset, layout.syntax.name),
        identity=identity_of(dataset),
        affine=affine,
        measured=frame.value,
        is_placed=is_placed,
    )


def _planes(dataset: Dataset, plan: Plan, path: Path | None) -> tuple[Plane, ...]:
    """Return every plane of a file."""
    layout = plan.layout
    if is_mosaic(dataset):
        base = _plane(dataset, dataset, plan, 0)
        return tiles_of(dataset, base, path)
    headers = frame_headers(dataset, layout.frames, path)
    if headers is not None:
        return tuple(
            _plane(header, dataset, plan, at) for at, header in enumerate(headers)
        )
    first = _plane(dataset, dataset, plan, 0)
    if layout.frames == 1:
        return (first,)
    return offset_planes(dataset, first, layout.frames)


def _plane(header: Dataset, dataset: Dataset, plan: Plan, frame: int) -> Plane:
    """Make the record of one frame."""
    layout = plan.layout
    thickness = number(header, "SliceThickness")
    between = number(header, "SpacingBetweenSlices")
    position = numbers(header, "ImagePositionPatient")
    cosines = numbers(header, "ImageOrientationPatient")
    spacing = numbers(header, "PixelSpacing")
    return Plane(
        file=0,
        frame=frame,
        size=(layout.columns, layout.rows, layout.samples),
        position=position if len(position) == 3 else (),
        cosines=cosines if len(cosines) == 6 else (),
        spacing=spacing if len(spacing) == 2 and min(spacing) > 0 else (),
        thickness_mm=abs(thickness) if thickness else None,
        depth_mm=abs(between or thickness or 0) or None,
        reference=text(dataset, "FrameOfReferenceUID"),
        sop_uid=text(dataset, "SOPInstanceUID"),
        form=frame if len(plan.forms) > 1 else 0,
        keys=keys_of(header, dataset) if position else {},
    )
