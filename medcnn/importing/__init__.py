"""Other people's classifiers as bundles; nothing of theirs is executed."""

from medcnn.importing.describing import ImportDescription, read_description
from medcnn.importing.imports import Imported, import_model

__all__ = ["ImportDescription", "Imported", "import_model", "read_description"]
