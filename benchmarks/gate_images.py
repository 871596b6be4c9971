"""Images that a model of chest radiographs was not made for, from what is at hand."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

import medcnn
from medcnn.errors import MedcnnError
from medcnn.image import Image

Found = tuple[Image, str]
"""An image and the source that it shares with images like it."""

Pixels = npt.NDArray[np.uint8]

DRAWN = 184
"""Computed images of each kind, as many as the adults of val."""

_PICTURES = {
    "scikit-learn": ("china.jpg", "flower.jpg"),
    "matplotlib": ("grace_hopper.jpg",),
    "scikit-image": (
        "astronaut.png", "brick.png", "camera.png", "cell.png", "chelsea.png",
        "clock_motion.png", "coffee.png", "coins.png", "grass.png", "gravel.png",
        "hubble_deep_field.jpg", "ihc.png", "moon.png", "motorcycle_left.png",
        "page.png", "retina.jpg", "rocket.jpg", "text.png",
    ),
}  # fmt: skip
"""Pictures in packages; what is not installed is left out, and so counted."""

_ALIKE = 0.995


def bare(image: Image) -> Image:
    """Return an image without its header and in grey, as after an export."""
    if image.channels == 1:
        return replace(image, modality=None, facts={})
    grey = np.tensordot((0.299, 0.587, 0.114), image.array[:3].astype(float), axes=1)
    array = grey.astype(np.float32)[None]
    return replace(image, array=array, modality=None, facts={}, padding=None)


def photographs() -> Iterator[Found]:
    """Yield photographs and other pictures out of installed packages."""
    for package, names in _PICTURES.items():
        try:
            there = files(package) or []
        except PackageNotFoundError:
            continue
        for entry in there:
            if entry.name not in names or "test" in str(entry):
                continue
            colour = cv2.imread(str(entry.locate()), cv2.IMREAD_COLOR)
            pixels = np.asarray(colour, np.uint8)[..., ::-1]
            yield Image.from_picture(pixels), entry.name


def radiographs(
    folders: Sequence[Path], wanted: Callable[[Image], bool]
) -> list[Found]:
    """Return the 2-D images of DICOM folders that are wanted, each picture once.

    Several codings of one picture are one; what cannot be read is left out. Images of
    one study of one maker share their source.
    """
    kept: list[Found] = []
    seen: dict[str, list[npt.NDArray[np.float64]]] = {}
    with medcnn.SafeReader() as reader:
        for path in sorted(p for folder in folders for p in folder.rglob("*")):
            if not path.is_file() or "fuzz" in str(path):
                continue
            try:
                image = reader.load(path)
            except MedcnnError:
                continue
            if image.dims != 2 or not wanted(image):
                continue
            who = (image.identity.study_uid, image.facts.get("manufacturer"))
            source = f"{image.modality} {who}"
            small = _small(image)
            others = seen.setdefault(source, [])
            if all(float((small * other).mean()) < _ALIKE for other in others):
                others.append(small)
                kept.append((image, source))
    return kept


def volumes(file: Path, count: int) -> Iterator[Found]:
    """Yield projections of VesselMNIST3D's test volumes, enlarged to 224 pixels."""
    with np.load(file) as data:
        for n, volume in enumerate(data["test_images"][:count]):
            yield Image.from_picture(_enlarged(volume.max(axis=0))), f"volume {n}"


def small_films(file: Path, count: int) -> Iterator[Found]:
    """Yield PneumoniaMNIST's test films of 28 pixels, enlarged to 224."""
    with np.load(file) as data:
        for n, film in enumerate(data["test_images"][:count]):
            yield Image.from_picture(_enlarged(film)), f"film {n}"


def noise(rng: np.random.Generator) -> Iterator[Found]:
    """Yield white noise, and noise of all sizes like that of natural pictures."""
    for n in range(DRAWN):
        white = rng.normal(size=(256, 256))
        if n % 2:
            across = np.fft.fftfreq(256)
            radius = np.hypot(across[:, None], across[None])
            radius[0, 0] = 1
            white = np.fft.ifft2(np.fft.fft2(white) / radius).real
        low, high = np.quantile(white, (0.005, 0.995))
        grey = np.clip((white - low) / (high - low), 0, 1) * 255
        yield Image.from_picture(grey.astype(np.uint8)), f"noise {n}"


def blanks(rng: np.random.Generator) -> Iterator[Found]:
    """Yield images of one grey; two of three with a name plate or sensor noise."""
    for n in range(DRAWN):
        level = int(rng.integers(0, 250))
        picture = np.full((512, 512), level, np.uint8)
        if n % 3 == 1:
            place = (int(rng.integers(10, 300)), int(rng.integers(40, 500)))
            cv2.putText(picture, "R  12", place, 0, 1.2, 255, 2)
        if n % 3 == 2:
            picture = picture + rng.integers(0, 3, picture.shape, np.uint8)
        yield Image.from_picture(picture), f"blank {n}"


def changed(films: Sequence[Found], how: str) -> Iterator[Found]:
    """Yield films inverted, turned, mirrored, cut, framed, or as if photographed.

    Raises:
        ValueError: If there is no such change.
    """
    for film, source in films:
        array = film.array
        if how in _DRAWN:
            yield (
                Image.from_picture(_DRAWN[how](film.picture().astype(np.uint8))),
                source,
            )
            continue
        if how == "inverted":
            array = int(array.max()) + int(array.min()) - array.astype(np.int32)
        elif how == "turned by 90°":
            array = np.flip(array.transpose(0, 2, 1, 3), 1)
        elif how == "turned by 180°":
            array = np.flip(array, (1, 2))
        elif how == "mirrored":
            array = np.flip(array, 1)
        elif how == "upper left quarter":
            array = array[:, : array.shape[1] // 2, : array.shape[2] // 2]
        else:
            raise ValueError(how)
        yield Image(np.ascontiguousarray(array)), source


def _turned(picture: Pixels) -> Pixels:
    """Turn a picture by 30 degrees about its middle; black where nothing was."""
    rows, columns = picture.shape
    turn = cv2.getRotationMatrix2D((columns / 2, rows / 2), 30, 1)
    return np.asarray(cv2.warpAffine(picture, turn, (columns, rows)), np.uint8)


def _framed(picture: Pixels) -> Pixels:
    """Put a picture into the middle of a black one of twice its sides."""
    rows, columns = picture.shape
    around = (rows // 2, rows // 2, columns // 2, columns // 2)
    framed = cv2.copyMakeBorder(picture, *around, cv2.BORDER_CONSTANT, value=0)
    return np.asarray(framed, np.uint8)


def _doubled(picture: Pixels) -> Pixels:
    return np.hstack([picture, picture])


def _photographed(picture: Pixels) -> Pixels:
    """Show a film on a lit box, askew, with glare, as a hand-held camera would."""
    rows, columns = picture.shape
    corners = np.array([(0, 0), (columns, 0), (columns, rows), (0, rows)], np.float32)
    seen = corners * (0.8, 0.8) + np.array(
        [(0.12, 0.06), (0.05, 0.14), (0.1, 0.08), (0.06, 0.12)]
    ) * (columns, rows)
    askew = cv2.getPerspectiveTransform(corners, seen.astype(np.float32))
    lit = cv2.warpPerspective(picture, askew, (columns, rows), borderValue=225)
    y, x = np.mgrid[:rows, :columns] / max(rows, columns)
    glare = 90 * np.exp(-((x - 0.7) ** 2 + (y - 0.3) ** 2) / 0.02)
    return np.clip(lit + glare, 0, 255).astype(np.uint8)


_DRAWN: dict[str, Callable[[Pixels], Pixels]] = {
    "turned by 30°": _turned,
    "in a black frame": _framed,
    "two side by side": _doubled,
    "photographed askew (computed)": _photographed,
}


def _small(image: Image) -> npt.NDArray[np.float64]:
    picture = bare(image).array[0, :, :, 0].astype(np.float32)
    small = cv2.resize(picture, (32, 32), interpolation=cv2.INTER_AREA)
    values = np.asarray(small, np.float64)
    return (values - values.mean()) / max(float(values.std()), 1e-9)


def _enlarged(picture: npt.NDArray[np.uint8]) -> Pixels:
    large = cv2.resize(picture, (224, 224), interpolation=cv2.INTER_CUBIC)
    return np.asarray(large, np.uint8)
