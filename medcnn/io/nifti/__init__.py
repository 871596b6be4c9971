"""NIfTI-1 and NIfTI-2 files; nothing else knows nibabel."""

from medcnn.io.nifti.memory import from_image
from medcnn.io.nifti.reader import describe_all, read, read_all
from medcnn.io.nifti.write import save_nifti

__all__ = ["describe_all", "from_image", "read", "read_all", "save_nifti"]
