"""Results as DICOM objects beside the images they are of: report, pictures, maps."""

from medcnn.dicom_out.case import Case, Mapped, ModelFacts
from medcnn.dicom_out.codes import Code, Codes, read_codes
from medcnn.dicom_out.explained import case_of
from medcnn.dicom_out.own import MANUFACTURER, RESEARCH_USE, is_own_result
from medcnn.dicom_out.results import KINDS, Kind, Result, results_of, save_result
from medcnn.dicom_out.source import Source, read_source

__all__ = [
    "KINDS",
    "MANUFACTURER",
    "RESEARCH_USE",
    "Case",
    "Code",
    "Codes",
    "Kind",
    "Mapped",
    "ModelFacts",
    "Result",
    "Source",
    "case_of",
    "is_own_result",
    "read_codes",
    "read_source",
    "results_of",
    "save_result",
]
