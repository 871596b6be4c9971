"""Damage files in thousands of ways and read each: one outcome each, nothing dies.

    python benchmarks/mutants.py --count 10000

Seeds are small images of every format and transfer syntax, from pydicom's and nibabel's
own packages and made here. Mutant number N is the same bytes on every machine that has
the same packages; `--write N FILE` writes it for a closer look.
"""

import argparse
import io
import random
import resource
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import nibabel
import numpy as np
import pydicom

from medcnn.errors import ReadError
from medcnn.io.dicom.deflated import is_deflated
from medcnn.io.dicom.structure import start_of_data_set
from medcnn.isolation import Limits, SafeReader

__all__ = ["LIMITS", "Outcome", "Seed", "mutant", "outcomes", "seeds"]

LIMITS = Limits(timeout_s=15, memory_bytes=2 << 30)
_LARGEST_SEED = 400_000
_HEADER_BYTES = 1500
_PIXEL_TAGS = (b"\xe0\x7f\x10\0", b"\x7f\xe0\0\x10")
_META_IMAGE = (
    b"ObjectType = Image\nNDims = 3\nDimSize = 80 48 2\nElementSpacing = 1 1 3\n"
    b"ElementType = MET_USHORT\nElementDataFile = LOCAL\n"
)
_NRRD = (
    b"NRRD0004\ntype: uint16\ndimension: 3\nspace: left-posterior-superior\n"
    b"sizes: 80 48 2\nspace directions: (1,0,0) (0,1,0) (0,0,3)\n"
    b"kinds: domain domain domain\nendian: little\nencoding: raw\n"
    b"space origin: (0,0,0)\n\n"
)


@dataclass(frozen=True)
class Seed:
    """A sound file that mutants are made of.

    Attributes:
        kind: Format or transfer syntax.
        suffix: Of its name.
        content: Its bytes.
    """

    kind: str
    suffix: str
    content: bytes


@dataclass(frozen=True)
class Outcome:
    """What reading a mutant came to.

    Attributes:
        number: Of the mutant.
        kind: Of its seed.
        stage: Where it failed; "ok" for an image.
        error: What was wrong.
        hint: What to do.
        seconds: How long it took.
    """

    number: int
    kind: str
    stage: str
    error: str
    hint: str
    seconds: float


def seeds() -> list[Seed]:
    """Return the seeds in a fixed order."""
    return [*_dicom_seeds(), *_nifti_seeds(), *_made_seeds()]


def mutant(number: int, every: list[Seed]) -> tuple[Seed, bytes]:
    """Return the seed of a mutant and its damaged bytes."""
    rng = random.Random(number)  # noqa: S311 - not for secrets
    seed = every[number % len(every)]
    data = bytearray(seed.content)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        rng.choice(_DAMAGES)(data, rng)
    return seed, bytes(data)


def outcomes(count: int, *, workers: int = 1, first: int = 0) -> Iterator[Outcome]:
    """Read mutants in worker processes; yield one outcome each, in order."""
    every = seeds()
    with (
        tempfile.TemporaryDirectory() as folder,
        SafeReader(LIMITS, workers) as reader,
        ThreadPoolExecutor(workers) as hands,
    ):

        def read(number: int) -> Outcome:
            seed, content = mutant(number, every)
            path = Path(folder) / f"{number}{seed.suffix}"
            path.write_bytes(content)
            began = time.monotonic()
            stage, error, hint = "ok", "", ""
            try:
                reader.load(path)
            except ReadError as refused:
                stage, error, hint = refused.stage, refused.message, refused.hint
            seconds = time.monotonic() - began
            path.unlink()
            return Outcome(number, seed.kind, stage, error, hint, seconds)

        yield from hands.map(read, range(first, first + count))


def _dicom_seeds() -> Iterator[Seed]:
    """Yield up to four images of each transfer syntax of pydicom's own."""
    seen: Counter[str] = Counter()
    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    for path in sorted(folder.rglob("*.dcm")):
        content = path.read_bytes()
        start = start_of_data_set(io.BytesIO(content))
        has_pixels = _PIXEL_TAGS[0] in content or _PIXEL_TAGS[1] in content
        if len(content) > _LARGEST_SEED or not (has_pixels or is_deflated(start)):
            continue
        kind = pydicom.uid.UID(start.syntax).name or "no transfer syntax"
        seen[kind] += 1
        if seen[kind] <= 4:
            yield Seed(kind, ".dcm", content)


def _nifti_seeds() -> Iterator[Seed]:
    folder = Path(nibabel.__file__).parent / "tests" / "data"
    for name in ("anatomical.nii", "example4d.nii.gz", "example_nifti2.nii.gz"):
        path = folder / name
        yield Seed("NIfTI", "".join(path.suffixes), path.read_bytes())


def _made_seeds() -> Iterator[Seed]:
    """Yield pictures and arrays that are made here."""
    rng = np.random.default_rng(0)
    grey = cv2.GaussianBlur(rng.integers(0, 65535, (96, 80), np.uint16), (0, 0), 2)
    small = (grey // 256).astype(np.uint8)
    colour = np.dstack([small, small[::-1], small[:, ::-1]])
    for suffix, pixels, parameters in (
        (".png", grey, ()),
        (".png", colour, ()),
        (".jpg", small, ()),
        (".jpg", colour, (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)),
        (".tif", grey, (cv2.IMWRITE_TIFF_COMPRESSION, 5)),
        (".tif", colour, (cv2.IMWRITE_TIFF_COMPRESSION, 1)),
    ):
        yield Seed(
            suffix, suffix, cv2.imencode(suffix, pixels, parameters)[1].tobytes()
        )
    array = io.BytesIO()
    np.save(array, grey)
    yield Seed(".npy", ".npy", array.getvalue())
    yield Seed(".mha", ".mha", _META_IMAGE + grey.tobytes())
    yield Seed(".nrrd", ".nrrd", _NRRD + grey.tobytes())
    yield Seed(".bmp", ".bmp", cv2.imencode(".bmp", colour)[1].tobytes())
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        info = zipfile.ZipInfo("film.png", (2026, 1, 1, 0, 0, 0))
        packed.writestr(info, cv2.imencode(".png", grey)[1].tobytes())
    yield Seed(".zip", ".zip", archive.getvalue())


def _place(data: bytearray, rng: random.Random) -> int:
    """Choose where to do damage, mostly in the header."""
    most = len(data) if rng.random() < 0.4 else min(len(data), _HEADER_BYTES)
    return rng.randrange(max(most, 1))


def _flip(data: bytearray, rng: random.Random) -> None:
    if data:
        data[_place(data, rng)] ^= 1 << rng.randrange(8)


def _overwrite(data: bytearray, rng: random.Random) -> None:
    at, size = _place(data, rng), rng.choice((1, 2, 4, 8, 32))
    data[at : at + size] = rng.choice((b"\0", b"\xff", b"\x7f", b"\x80")) * size


def _scramble(data: bytearray, rng: random.Random) -> None:
    at, size = _place(data, rng), rng.choice((1, 2, 4, 16, 64))
    data[at : at + size] = rng.randbytes(size)


def _cut(data: bytearray, rng: random.Random) -> None:
    del data[_place(data, rng) :]


def _remove(data: bytearray, rng: random.Random) -> None:
    at = _place(data, rng)
    del data[at : at + rng.choice((1, 2, 8, 64, 512))]


def _repeat(data: bytearray, rng: random.Random) -> None:
    at, size = _place(data, rng), rng.choice((2, 8, 64, 512))
    data[at:at] = data[at : at + size] * rng.choice((1, 2, 20))


_DAMAGES = (_flip, _flip, _overwrite, _overwrite, _scramble, _cut, _remove, _repeat)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--write", nargs=2, metavar=("N", "FILE"))
    return parser.parse_args()


def _report(found: list[Outcome], seconds: float) -> None:
    """Print outcomes by kind of seed, and what deserves a closer look."""
    stages = sorted(
        {one.stage for one in found}, key=lambda stage: (stage != "ok", stage)
    )
    print(f"| {'seed':38} | " + " | ".join(f"{stage:>8}" for stage in stages) + " |")
    print("|" + "-" * 40 + "|" + "|".join("-" * 10 for _ in stages) + "|")
    counts = Counter((one.kind, one.stage) for one in found)
    for kind in dict.fromkeys(one.kind for one in found):
        numbers = (f"{counts[kind, stage]:8}" for stage in stages)
        print(f"| {kind[:38]:38} | " + " | ".join(numbers) + " |")
    totals = Counter(one.stage for one in found)
    print(f"| {'all':38} | " + " | ".join(f"{totals[s]:8}" for s in stages) + " |")
    slowest = max(found, key=lambda one: one.seconds)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(
        f"\n{len(found)} outcomes in {seconds:.0f} s; this process {peak} MiB at most"
    )
    print(f"slowest: {slowest.seconds:.2f} s, mutant {slowest.number} ({slowest.kind})")
    for one in found:
        if one.stage in {"crash", "memory", "timeout"} or "failed with" in one.error:
            print(f"{one.stage}: mutant {one.number} ({one.kind}): {one.error}")


def main() -> None:
    """Read mutants and print what they came to."""
    arguments = _arguments()
    if arguments.write:
        number, name = arguments.write
        Path(name).write_bytes(mutant(int(number), seeds())[1])
        return
    began = time.monotonic()
    every = outcomes(arguments.count, workers=arguments.workers, first=arguments.first)
    found = list(islice(every, arguments.count))
    _report(found, time.monotonic() - began)


if __name__ == "__main__":
    main()
