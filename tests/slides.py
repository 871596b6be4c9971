"""Small whole slides for tests: DICOM by pydicom alone, TIFF by tifffile."""

from pathlib import Path

import cv2
import numpy as np
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.uid import (
    JPEG2000,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    VLWholeSlideMicroscopyImageStorage,
    generate_uid,
)

SPACING_MM = 0.002
"""2 um from pixel to pixel: slides of hundreds of pixels are then some mm large."""

STANDARD = (0.0, -1.0, 0.0, -1.0, 0.0, 0.0)
"""Image Orientation (Slide) of most scanners: rows run along -y, columns along -x."""

TURNED = (0.6, 0.8, 0.0, -0.8, 0.6, 0.0)
"""A slide that lies askew, as no scanner does: nothing is symmetric in it."""


def position_picture(columns=700, rows=500):
    """Return pixels that say by their colour where they lie, (rows, columns, 3).

    red = column modulo 256, green = row modulo 256, blue = 16 * (row / 256) +
    column / 256: exact up to 4096 pixels.
    """
    row, column = np.mgrid[:rows, :columns]
    blue = 16 * (row // 256) + column // 256
    return np.stack([column % 256, row % 256, blue], axis=-1).astype(np.uint8)


def position_of(colours):
    """Return (column, row) of the pixels of `position_picture`."""
    red, green, blue = (colours[..., n].astype(int) for n in range(3))
    return red + 256 * (blue % 16), green + 256 * (blue // 16)


def stained_picture(columns=768, rows=512, *, blob=(560, 150), radius=28):
    """Return a stained section on glass with one dark blue blob, (rows, columns, 3).

    Args:
        columns: Width.
        rows: Height.
        blob: (column, row) of its middle.
        radius: Of the blob in pixels.
    """
    rng = np.random.default_rng(7)
    picture = np.full((rows, columns, 3), 244.0)
    row, column = np.mgrid[:rows, :columns]
    middle = columns * 0.55, rows * 0.45
    inside = ((column - middle[0]) / (columns * 0.36)) ** 2
    inside = inside + ((row - middle[1]) / (rows * 0.36)) ** 2 < 1
    picture[inside] = 224, 160, 196
    grain = cv2.GaussianBlur(rng.normal(0, 60, (rows, columns)), (0, 0), 3)
    picture += np.where(inside, grain, 0)[..., None] * [1.0, 1.6, 0.8]
    within = (column - blob[0]) ** 2 + (row - blob[1]) ** 2 < radius**2
    picture[within] = 70, 40, 150
    picture += rng.normal(0, 1.5, picture.shape)
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def halved(picture, times):
    """Return a picture shrunk by averaging, as a level of a pyramid is made."""
    if times == 1:
        return picture
    rows, columns = (n // times * times for n in picture.shape[:2])
    blocks = picture[:rows, :columns].reshape(
        rows // times, times, columns // times, times, 3
    )
    return np.rint(blocks.mean(axis=(1, 3))).astype(np.uint8)


def write_dicom_slide(
    folder: Path,
    picture,
    *,
    downs=(1, 2, 4),
    tile=(64, 48),
    sparse=False,
    left_out=(),
    orientation=STANDARD,
    origin=(20.0, 50.0),
    syntax=ExplicitVRLittleEndian,
    extended=False,
    spacing_mm=(SPACING_MM, SPACING_MM),
    label=True,
    planes=1,
    paths=("1",),
    change=None,
):
    """Write one slide as a DICOM series, a file for each level; return the folder.

    Args:
        folder: Made if it is not there.
        picture: (rows, columns, 3).
        downs: How much coarser each level is.
        tile: (columns, rows) of a tile.
        sparse: TILED_SPARSE, frames in shuffled order; else TILED_FULL.
        left_out: (across, down) of tiles that are not stored, of every level.
        orientation: Image Orientation (Slide).
        origin: x, y of the middle of the first pixel in mm.
        syntax: Transfer syntax.
        extended: Whether an extended offset table is written.
        spacing_mm: Along (i, j).
        label: Whether a label is written beside it.
        planes: Number of focal planes; each is darker by 10 than the one before.
        paths: Optical path identifiers.
        change: Called with each level's data set before it is written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    uids = {name: generate_uid() for name in ("series", "study", "frame")}
    for down in downs:
        level = halved(picture, down)
        sized = [mm * down for mm in spacing_mm]
        dataset = _header(uids, level.shape, tile, sized, orientation, origin)
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
        if down > 1:
            dataset.ImageType = ["DERIVED", "PRIMARY", "VOLUME", "RESAMPLED"]
        dataset.TotalPixelMatrixFocalPlanes = planes
        dataset.OpticalPathSequence = [_path(name) for name in paths]
        frames, places = _frames(level, tile, left_out, planes, paths)
        order = np.arange(len(frames))
        if sparse:
            order = np.random.default_rng(down).permutation(order)
            dataset.PerFrameFunctionalGroupsSequence = [
                _group(places[n], tile, sized, orientation, origin) for n in order
            ]
        dataset.DimensionOrganizationType = "TILED_SPARSE" if sparse else "TILED_FULL"
        _put_pixels(dataset, [frames[n] for n in order], syntax, extended=extended)
        if change is not None:
            change(dataset)
        dataset.save_as(folder / f"level-{down}.dcm", enforce_file_format=True)
    if label:
        _write_label(folder, uids)
    return folder


def write_tiff_slide(
    path: Path,
    picture,
    *,
    kind="plain",
    compression="jpeg",
    downs=(1, 2, 4),
    tile=(64, 48),
    bigtiff=False,
    spacing_mm=SPACING_MM,
):
    """Write one slide as TIFF; tile is (columns, rows), a multiple of 16.

    Args:
        path: The file.
        picture: (rows, columns, 3).
        kind: "plain" pyramid, "svs" as Aperio describes it, or "ome".
        compression: As tifffile names it; None for none.
        downs: How much coarser each level is.
        tile: (columns, rows).
        bigtiff: Whether it is a BigTIFF.
        spacing_mm: None says nothing.
    """
    import tifffile

    options = {"tile": tile[::-1], "photometric": "rgb", "compression": compression}
    if compression == "jpeg":
        options["compressionargs"] = {"level": 98}
    if spacing_mm and kind == "plain":
        options |= {"resolution": (10 / spacing_mm,) * 2, "resolutionunit": 3}
    levels = [halved(picture, down) for down in downs]
    with tifffile.TiffWriter(path, bigtiff=bigtiff, ome=kind == "ome") as file:
        if kind == "ome":
            um = 1000 * spacing_mm
            about = {"axes": "YXS", "PhysicalSizeX": um, "PhysicalSizeY": um}
            file.write(levels[0], subifds=len(levels) - 1, metadata=about, **options)
            for level in levels[1:]:
                file.write(level, subfiletype=1, **options)
            return path
        words = None
        if kind == "svs":
            rows, columns = picture.shape[:2]
            words = f"Aperio Image Library v12.0.15\r\n{columns}x{rows} [0,0 "
            words += f"{columns}x{rows}] (64x48) JPEG/RGB Q=98"
            words += f"|AppMag = 5|MPP = {1000 * spacing_mm:.4f}"
        file.write(levels[0], metadata=None, description=words, **options)
        if kind == "svs":
            small = {"photometric": "rgb", "compression": compression}
            file.write(halved(picture, 8), metadata=None, rowsperstrip=16, **small)
        for n, level in enumerate(levels[1:], start=1):
            about = None if words is None else words.replace("\r\n", f" level {n}\r\n")
            file.write(
                level,
                metadata=None,
                subfiletype=0 if kind == "svs" else 1,
                description=about,
                **options,
            )
    return path


def _frames(level, tile, left_out, planes, paths):
    """Cut a level into frames in the order of TILED_FULL; say where each lies."""
    frames, places = [], []
    for name in paths:
        for plane in range(planes):
            for top in range(0, level.shape[0], tile[1]):
                for left in range(0, level.shape[1], tile[0]):
                    if (left // tile[0], top // tile[1]) in left_out:
                        continue
                    part = level[top : top + tile[1], left : left + tile[0]]
                    frame = np.zeros((tile[1], tile[0], 3), np.uint8)
                    frame[: part.shape[0], : part.shape[1]] = part
                    frames.append(frame - np.minimum(frame, 10 * plane))
                    places.append((left, top, plane, name))
    return frames, places


def _header(uids, shape, tile, spacing_mm, orientation, origin):
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.SOPClassUID = VLWholeSlideMicroscopyImageStorage
    dataset.file_meta.MediaStorageSOPClassUID = VLWholeSlideMicroscopyImageStorage
    uid = generate_uid()
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = uids["study"], uids["series"]
    dataset.FrameOfReferenceUID = uids["frame"]
    _name(dataset)
    _place(dataset, shape, tile, spacing_mm, orientation, origin)
    return dataset


def _name(dataset):
    """Fill in what a conformant file says beside its pixels."""
    dataset.StudyID = dataset.StudyDate = dataset.StudyTime = ""
    dataset.PatientID, dataset.PatientName = "phantom", "Phantom"
    dataset.PatientBirthDate = dataset.PatientSex = dataset.AccessionNumber = ""
    dataset.ReferringPhysicianName = ""
    dataset.Manufacturer, dataset.Modality = "Tests", "SM"
    dataset.ManufacturerModelName = "Tests"
    dataset.DeviceSerialNumber, dataset.SoftwareVersions = "1", "1"
    dataset.AcquisitionDateTime = "20260101000000"
    dataset.ContentDate, dataset.ContentTime = "20260101", "000000"
    dataset.SeriesNumber, dataset.InstanceNumber = 1, 1
    dataset.PositionReferenceIndicator = "SLIDE_CORNER"
    dataset.VolumetricProperties = "VOLUME"
    dataset.SpecimenLabelInImage = dataset.BurnedInAnnotation = "NO"
    dataset.FocusMethod, dataset.ExtendedDepthOfField = "AUTO", "NO"
    dataset.LossyImageCompression = "00"
    dataset.ContainerIdentifier = "1"
    dataset.IssuerOfTheContainerIdentifierSequence = []
    dataset.ContainerTypeCodeSequence = []
    dataset.AcquisitionContextSequence = []
    specimen = Dataset()
    specimen.SpecimenIdentifier, specimen.SpecimenUID = "1", generate_uid()
    specimen.IssuerOfTheSpecimenIdentifierSequence = []
    specimen.SpecimenPreparationSequence = []
    dataset.SpecimenDescriptionSequence = [specimen]


def _place(dataset, shape, tile, spacing_mm, orientation, origin):
    """Say how large the level is and where it lies."""
    dataset.TotalPixelMatrixRows, dataset.TotalPixelMatrixColumns = shape[:2]
    dataset.ImagedVolumeWidth = shape[1] * spacing_mm[0]
    dataset.ImagedVolumeHeight = shape[0] * spacing_mm[1]
    dataset.ImagedVolumeDepth = 0.001
    dataset.Columns, dataset.Rows = tile
    dataset.SamplesPerPixel, dataset.PlanarConfiguration = 3, 0
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.ImageOrientationSlide = list(orientation)
    place = Dataset()
    place.XOffsetInSlideCoordinateSystem = origin[0]
    place.YOffsetInSlideCoordinateSystem = origin[1]
    dataset.TotalPixelMatrixOriginSequence = [place]
    measures = Dataset()
    measures.PixelSpacing = [spacing_mm[1], spacing_mm[0]]
    measures.SliceThickness = measures.SpacingBetweenSlices = 0.001
    frame_type = Dataset()
    frame_type.FrameType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    shared = Dataset()
    shared.PixelMeasuresSequence = [measures]
    shared.WholeSlideMicroscopyImageFrameTypeSequence = [frame_type]
    used = Dataset()
    used.OpticalPathIdentifier = "1"
    shared.OpticalPathIdentificationSequence = [used]
    dataset.SharedFunctionalGroupsSequence = [shared]
    organization = Dataset()
    organization.DimensionOrganizationUID = generate_uid()
    dataset.DimensionIndexSequence = [
        _index(keyword, organization.DimensionOrganizationUID)
        for keyword in ("Column", "Row")
    ]
    dataset.DimensionOrganizationSequence = [organization]


def _index(axis, uid):
    """Return what a number of Dimension Index Values counts."""
    index = Dataset()
    keyword = f"{axis}PositionInTotalImagePixelMatrix"
    index.DimensionIndexPointer = tag_for_keyword(keyword)
    index.FunctionalGroupPointer = tag_for_keyword("PlanePositionSlideSequence")
    index.DimensionOrganizationUID = uid
    return index


def _path(name):
    path = Dataset()
    path.OpticalPathIdentifier = name
    path.ObjectiveLensPower = 5
    path.IlluminationWaveLength = 600.0
    kind = Dataset()
    kind.CodeValue, kind.CodingSchemeDesignator = "111744", "DCM"
    kind.CodeMeaning = "Brightfield illumination"
    path.IlluminationTypeCodeSequence = [kind]
    return path


def _group(place, tile, spacing_mm, orientation, origin):
    """Return the functional group of a frame of TILED_SPARSE."""
    left, top, plane, name = place
    position = Dataset()
    position.ColumnPositionInTotalImagePixelMatrix = left + 1
    position.RowPositionInTotalImagePixelMatrix = top + 1
    across, down = np.array(orientation[:3]), np.array(orientation[3:])
    point = left * spacing_mm[0] * across + top * spacing_mm[1] * down
    position.XOffsetInSlideCoordinateSystem = f"{origin[0] + point[0]:.10g}"
    position.YOffsetInSlideCoordinateSystem = f"{origin[1] + point[1]:.10g}"
    position.ZOffsetInSlideCoordinateSystem = f"{0.001 * plane:.6g}"
    optical = Dataset()
    optical.OpticalPathIdentifier = name
    content = Dataset()
    content.DimensionIndexValues = [left // tile[0] + 1, top // tile[1] + 1]
    group = Dataset()
    group.PlanePositionSlideSequence = [position]
    group.OpticalPathIdentificationSequence = [optical]
    group.FrameContentSequence = [content]
    return group


def _put_pixels(dataset, frames, syntax, *, extended=False):
    """Encode the frames."""
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.NumberOfFrames = len(frames)
    dataset.PhotometricInterpretation = "RGB"
    if syntax == ExplicitVRLittleEndian:
        raw = b"".join(frame.tobytes() for frame in frames)
        dataset.PixelData = raw + b"\0" * (len(raw) % 2)
        return
    if syntax == JPEGBaseline8Bit:
        dataset.PhotometricInterpretation = "YBR_FULL_422"
        quality = [cv2.IMWRITE_JPEG_QUALITY, 98]
        coded = [cv2.imencode(".jpg", f[..., ::-1], quality)[1] for f in frames]
        items = [part.tobytes() for part in coded]
    else:
        import imagecodecs

        is_exact = syntax == JPEG2000Lossless
        dataset.PhotometricInterpretation = "YBR_RCT" if is_exact else "YBR_ICT"
        items = [
            imagecodecs.jpeg2k_encode(
                f, codecformat="j2k", level=0 if is_exact else 45,
                reversible=is_exact, mct=True,
            )
            for f in frames
        ]  # fmt: skip
    assert syntax in {JPEGBaseline8Bit, JPEG2000Lossless, JPEG2000}
    if extended:
        pixels, offsets, lengths = encapsulate_extended(items)
        dataset.PixelData = pixels
        dataset.ExtendedOffsetTable = offsets
        dataset.ExtendedOffsetTableLengths = lengths
    else:
        dataset.PixelData = encapsulate(items, has_bot=len(items) % 2 == 0)
    dataset["PixelData"].VR = "OB"


def _write_label(folder, uids):
    """Write the picture of the paper label beside the levels."""
    dataset = _header(uids, (40, 30), (30, 40), (0.1, 0.1), STANDARD, (0.0, 0.0))
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "LABEL", "NONE"]
    dataset.DimensionOrganizationType = "TILED_FULL"
    dataset.OpticalPathSequence = [_path("1")]
    dataset.TotalPixelMatrixFocalPlanes = 1
    white = np.full((40, 30, 3), 200, np.uint8)
    _put_pixels(dataset, [white], ExplicitVRLittleEndian)
    dataset.save_as(folder / "label.dcm", enforce_file_format=True)
