"""Enhanced multi-frame objects for tests, converted by highdicom from slices."""

import highdicom.legacy
import numpy as np
from pydicom.uid import generate_uid


def enhanced(slices, order=None):
    """Convert slices of `dicoms.series`, then put the frames in another order."""
    for dataset in slices:
        dataset.PatientName = "Phantom^"
        dataset.PatientBirthDate = dataset.PatientSex = dataset.StudyID = ""
        dataset.StudyDate = dataset.StudyTime = dataset.AccessionNumber = ""
        dataset.SeriesNumber = 1
        dataset.AcquisitionNumber = 1
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        dataset.Manufacturer = "phantom"
    whole = highdicom.legacy.LegacyConvertedEnhancedCTImage(
        slices, generate_uid(), 2, generate_uid(), 1
    )
    if order is not None:
        count = len(slices)
        frames = np.frombuffer(whole.PixelData, "<u2")[: count * 99]
        whole.PixelData = frames.reshape(count, 99)[order].tobytes()
        groups = list(whole.PerFrameFunctionalGroupsSequence)
        whole.PerFrameFunctionalGroupsSequence = [groups[index] for index in order]
    if len(whole.PixelData) % 2:
        whole.PixelData += b"\0"
    return whole
