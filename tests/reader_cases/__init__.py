"""Files and folders of which the truth is known, and how an answer is judged.

They are the rows of the tables in docs/readers.md: `benchmarks/reader_truth.py` asks
every reader that is installed, `tests/test_readers_truth.py` asks medcnn.
"""

from reader_cases.codings import CODINGS
from reader_cases.frames import FRAMES
from reader_cases.grey import GREY
from reader_cases.nifti_volumes import NIFTI
from reader_cases.radiographs import RADIOGRAPHS
from reader_cases.series import SERIES

GROUPS = (GREY, CODINGS, SERIES, FRAMES, NIFTI, RADIOGRAPHS)
