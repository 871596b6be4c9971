"""Images without whose they are: the Basic Profile of DICOM PS3.15."""

from medcnn.dicom_out.deidentification.files import Deidentified, deidentify_file
from medcnn.dicom_out.deidentification.folders import check_apart
from medcnn.dicom_out.deidentification.options import Retain
from medcnn.pseudonyms import Pseudonyms, read_or_make_key

__all__ = [
    "Deidentified",
    "Pseudonyms",
    "Retain",
    "check_apart",
    "deidentify_file",
    "read_or_make_key",
]
