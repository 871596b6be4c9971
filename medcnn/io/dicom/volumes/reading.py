"""The images of a file or series: listed, chosen, read or described."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from medcnn.errors import ReadError
from medcnn.image import Image
from medcnn.io.description import Description
from medcnn.io.dicom.parse import Parsed, quiet
from medcnn.io.dicom.tags import broken_as_decode_error
from medcnn.io.dicom.volumes.assemble import FrameSource, describe_part, image_of
from medcnn.io.dicom.volumes.copies import without_copies
from medcnn.io.dicom.volumes.parts import Part, parts_of
from medcnn.io.dicom.volumes.records import FileRecord
from medcnn.io.options import ReadOptions
from medcnn.io.parts import chosen

__all__ = ["Volumes"]

_LISTED = 4


class Volumes:
    """The images that one file or the files of one series make.

    Args:
        records: The files.
        source: The file or folder, noted on the images.
        options: What the caller chose.
        parsed: The only file, if it has been parsed with its pixels.
    """

    def __init__(
        self,
        records: Sequence[FileRecord],
        source: Path | None,
        options: ReadOptions,
        parsed: Parsed | None = None,
    ) -> None:
        self._given = records
        self._source = source
        self._options = options
        self._parsed = parsed

    @cached_property
    def parts(self) -> list[Part]:
        """Every image, and what is none.

        Raises:
            ReadError: If two files contradict each other.
        """
        what = "its slices cannot be put in order"
        with broken_as_decode_error(self._source, what), np.errstate(all="ignore"):
            parts = parts_of(self._records, self._options)
        notes = self._notes(parts)
        return [replace(part, warnings=(*part.warnings, *notes)) for part in parts]

    def read(self) -> Image:
        """Read the only image, or the part that the options name.

        Raises:
            ReadError: If there are several and none is named, it is no volume, or a
                file is broken.
        """
        parts = self.parts
        good = [part for part in parts if not part.problem]
        if not good and self._options.part is None:
            raise self._error(*parts)
        part = chosen(parts, self._options.part, self._source)
        if part.problem:
            raise self._error(part)
        return self._image(parts.index(part), self._frames())

    def read_all(self) -> Iterator[Image]:
        """Read every image; they warn of what is no volume.

        Raises:
            ReadError: If nothing is a volume, or a file is broken.
        """
        if all(part.problem for part in self.parts):
            self.raise_problems()
        frames = self._frames()
        for at, part in enumerate(self.parts):
            if not part.problem:
                yield self._image(at, frames)

    def describe_all(self) -> Iterator[Description]:
        """Describe every image; they warn of what is no volume.

        Raises:
            ReadError: If nothing is a volume.
        """
        parts = self.parts
        if all(part.problem for part in parts):
            self.raise_problems()
        source = self._source or Path()
        for at, part in enumerate(parts, start=1):
            if not part.problem:
                yield describe_part(part, self._records, source, (at, len(parts)))

    def raise_problems(self) -> None:
        """Raise what is wrong with the parts that are no volume.

        Raises:
            ReadError: If there are any.
        """
        bad = [part for part in self.parts if part.problem]
        if bad:
            raise self._error(*bad)

    @cached_property
    def _records(self) -> list[FileRecord]:
        """The files without copies."""
        return without_copies(self._given, self._same_pixels)[0]

    def _frames(self) -> FrameSource:
        return FrameSource(self._records, self._options, self._parsed)

    def _image(self, at: int, frames: FrameSource) -> Image:
        """Read one part."""
        with quiet():
            image = image_of(self.parts[at], self._records, frames, self._source)
        return image if len(self.parts) == 1 else replace(image, part=at + 1)

    def _same_pixels(self, first: FileRecord, second: FileRecord) -> bool:
        """Decode two files and compare them."""
        frames = FrameSource([first, second], self._options)
        with quiet():
            return np.array_equal(frames.all_frames(0), frames.all_frames(1))

    def _notes(self, parts: Sequence[Part]) -> list[str]:
        """Return what the images must say of copies and of refused parts."""
        notes = []
        copies = len(self._given) - len(self._records)
        if copies:
            word = "file was" if copies == 1 else "files were"
            notes.append(f"{copies} {word} left out: exact copies of others")
        refused = sum(bool(part.problem) for part in parts)
        if refused:
            word = "image is" if refused == 1 else "images are"
            notes.append(f"{refused} other {word} refused: see the list of its parts")
        return notes

    def _error(self, *bad: Part) -> ReadError:
        """Return why parts are no images."""
        reasons = [
            f"{part.name}: {part.problem}" if part.name else part.problem
            for part in bad[:_LISTED]
        ]
        more = f" {len(bad) - _LISTED} more." if len(bad) > _LISTED else ""
        return ReadError(" ".join(reasons) + more, path=self._source, hint=bad[0].hint)
