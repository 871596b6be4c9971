"""An explained image's results as DICOM files."""

from collections.abc import Iterator
from pathlib import Path

from medcnn.cli.dicom_choices import DicomChoices
from medcnn.cli.heatmap_files import file_stem, safe_name
from medcnn.dicom_out import (
    Codes,
    Kind,
    case_of,
    read_codes,
    read_source,
    results_of,
    save_result,
)
from medcnn.explanation import Explained
from medcnn.image import Image
from medcnn.io import ReadOptions
from medcnn.model import Model

__all__ = ["write_dicom"]


def write_dicom(
    model: Model,
    image: Image,
    explained: Explained,
    output: Path,
    choices: DicomChoices,
    *,
    suffix: str = "",
) -> Iterator[Path]:
    """Write the results of one image and yield their files, the report first.

    Args:
        model: Who explained it.
        image: The image.
        explained: Answer and maps.
        output: An existing folder.
        choices: How.
        suffix: What tells the files of one method from another's.

    Raises:
        DataError: If the image is no DICOM that results can refer to, or the codes are
            wrong.
        OutputError: If a file cannot be written.
    """
    codes = Codes() if choices.codes is None else read_codes(choices.codes)
    options = ReadOptions(
        part=choices.part,
        resample_tilt=choices.resample_tilt,
        allow_gaps=choices.allow_gaps,
    )
    source = read_source(
        choices.path, image, options, identify_patient=choices.identify
    )
    kinds: tuple[Kind, ...] = ("sr", "sc", "pm")
    if choices.with_region:
        kinds = (*kinds, "seg")
    stem = file_stem(image.source)
    for result in results_of(case_of(model, image, source, explained, codes), kinds):
        label = f".{safe_name(result.label)}" if result.label else ""
        file = output / f"{stem}{label}{suffix}.{result.kind}.dcm"
        save_result(result, file)
        yield file
