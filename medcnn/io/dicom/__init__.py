"""DICOM: stored pixels, grey scale, colour, geometry; nothing else knows pydicom."""
