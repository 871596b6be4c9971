"""Something to try without a network: computed phantoms in the module Sample Data.

They are those of `sample_data/` of medcnn: a piece of a vessel with an aneurysm and the
same without one. No patient was ever involved.
"""

from dataclasses import dataclass
from pathlib import Path

__all__ = ["SAMPLES", "Sample", "register_samples"]

_CATEGORY = "MedCNN"


@dataclass(frozen=True)
class Sample:
    """A volume that the extension brings.

    Attributes:
        name: What Sample Data shows.
        file: Its name in Resources/SampleData.
        sha256: Of the file, in hexadecimal digits.
    """

    name: str
    file: str
    sha256: str


SAMPLES = (
    Sample(
        "MedCNNVesselAneurysm",
        "vessel_aneurysm.nii",
        "aed1daf000c4bdaf19e64922743fb3eee1c02c61c25e02624d7d37bae9f88f30",
    ),
    Sample(
        "MedCNNVessel",
        "vessel.nii",
        "9fab583084db877e811616f10bc845d7c835d35bdfb690e13e3b939986b4d3eb",
    ),
)


def register_samples(resources: Path) -> None:
    """Offer the phantoms in Slicer's module Sample Data; loading one needs no network.

    Args:
        resources: The module's folder of resources.
    """
    import SampleData  # a module of Slicer's, found only once Slicer has started

    for sample in SAMPLES:
        path = resources / "SampleData" / sample.file
        SampleData.SampleDataLogic.registerCustomSampleDataSource(
            category=_CATEGORY,
            sampleName=sample.name,
            uris=path.resolve().as_uri(),
            fileNames=f"medcnn_{sample.file}",
            nodeNames=sample.name,
            checksums=f"SHA256:{sample.sha256}",
            thumbnailFileName=str(path.with_suffix(".png")),
            loadFileTypes="VolumeFile",
        )
