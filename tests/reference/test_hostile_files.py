"""Odd, malformed and mutated files end in an image or in a reason, never otherwise."""

import collections
import csv
import gzip
import json
import os
import random
import subprocess
import sys
import zipfile
from pathlib import Path

import imagecodecs
import nibabel as nib
import numpy as np
import PIL.Image
import pytest
import SimpleITK
from dicoms import RAMP_12, picture, save
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.uid import (
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

WORKER = Path(__file__).parents[1] / "reading_worker.py"


def read_all(paths):
    """Return one result for each path, from a process that may be lost."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(WORKER)],
        input="".join(f"{path}\n" for path in paths),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env=os.environ | {"PYTHONPATH": str(WORKER.parents[1])},
    )
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(results) == len(paths), f"lost at {paths[len(results)]}: {done.stderr}"
    return results


def foreign(results):
    return [result for result in results if result["kind"] == "foreign"]


@pytest.mark.slow
@pytest.mark.shared_data
def test_every_odd_file_of_other_projects_ends_well(shared_data):
    folder = shared_data / "dicom-torture"
    with (folder / "manifest.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["source"]]
    paths = [folder / row["path"] for row in rows]
    results = read_all([path for path in paths if path.is_file()])
    assert foreign(results) == []
    counts = collections.Counter(result["kind"] for result in results)
    assert counts["ok"] >= 100


def seeds(folder):
    """Write one small file of each coding and format."""
    encoders = {
        JPEG2000Lossless: lambda p: imagecodecs.jpeg2k_encode(
            p, level=0, codecformat="J2K"
        ),
        JPEGLSLossless: imagecodecs.jpegls_encode,
        HTJ2KLossless: imagecodecs.htj2k_encode,
        JPEGLosslessSV1: lambda p: imagecodecs.ljpeg_encode(p, bitspersample=12),
    }
    made = [save(picture(RAMP_12, WindowCenter=9, WindowWidth=99), folder / "raw")]
    for syntax, encode in encoders.items():
        dataset = picture(RAMP_12)
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.PixelData = encapsulate([encode(RAMP_12)])
        made.append(save(dataset, folder / syntax))
    dataset = picture(RAMP_12)
    dataset.compress(RLELossless)
    made.append(save(dataset, folder / "rle"))
    nib.Nifti1Image(np.ones((5, 4, 3), "i2"), np.eye(4)).to_filename(folder / "a.nii")
    nib.Nifti1Image(np.ones((5, 4, 3)), np.eye(4)).to_filename(folder / "b.nii.gz")
    for suffix in ("png", "jpg", "tif"):
        PIL.Image.fromarray((RAMP_12 >> 4).astype("u1")).save(folder / f"a.{suffix}")
    made += [folder / name for name in ("a.nii", "b.nii.gz", "a.png", "a.jpg", "a.tif")]
    made += other_formats(folder)
    palette = get_testdata_file("examples_palette.dcm", download=False)
    return made + ([Path(palette)] if palette else [])


def other_formats(folder):
    """Write small files of the formats that are not DICOM, NIfTI, PNG or JPEG."""
    volume = np.arange(210, dtype=np.int16).reshape(7, 6, 5)
    image = SimpleITK.GetImageFromArray(volume)
    names = ("a.mha", "b.nrrd", "a.npz", "a.bmp", "b.tif", "a.zip", "c.png.gz")
    SimpleITK.WriteImage(image, str(folder / "a.mha"))
    SimpleITK.WriteImage(image, str(folder / "b.nrrd"), useCompression=True)
    np.savez_compressed(folder / "a.npz", image=volume, affine=np.eye(4), axes="kji")
    picture_8 = PIL.Image.fromarray((RAMP_12 >> 4).astype("u1"))
    picture_8.save(folder / "a.bmp")
    picture_8.quantize(20).save(folder / "b.tif", compression="tiff_lzw")
    with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.write(folder / "a.png", "x/a.png")
    (folder / "c.png.gz").write_bytes(gzip.compress((folder / "a.png").read_bytes()))
    return [folder / name for name in names]


def mutate(raw, chance):
    """Return bytes with a few changed, most of them in the header; some cut short."""
    data = bytearray(raw)
    for _ in range(chance.randint(1, 8)):
        end = min(len(data), 1500) if chance.random() < 0.8 else len(data)
        data[chance.randrange(end)] = chance.choice([0, 1, 127, 128, 254, 255])
    if chance.random() < 0.2:
        data = data[: chance.randrange(1, len(data))]
    return bytes(data)


@pytest.mark.slow
def test_five_hundred_mutants_end_well(tmp_path):
    chance = random.Random(20)  # noqa: S311
    originals = seeds(tmp_path)
    mutants = []
    for number in range(500):
        original = originals[number % len(originals)]
        mutants.append(tmp_path / f"mutant-{number:03d}{original.suffix}")
        mutants[-1].write_bytes(mutate(original.read_bytes(), chance))
    results = read_all([*originals, *mutants])
    assert foreign(results) == []
    assert {result["kind"] for result in results[: len(originals)]} == {"ok"}
    kinds = collections.Counter(result["kind"] for result in results)
    assert kinds["ok"] > 50
    assert kinds["DecodeError"] > 50
