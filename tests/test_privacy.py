"""Hostile text of a DICOM file and a patient's identity, over all that is written."""

import contextlib
import csv
import html.parser
import zlib

import pydicom
import pytest
from dicom_cases import make_source, tiny_models

from medcnn.io.dicom.parse import quiet

TOKENS = {
    "PatientName": "<img src=x onerror=\"alert('tokenname')\">^=cmd|tokenname",
    "PatientComments": "tokencomment",
    "PatientAddress": "tokenstreet",
    "OtherPatientIDs": "tokenother",
    "StudyDescription": "<script>tokenstudy</script>",
    "SeriesDescription": "../../tokenseries\x1b[2J",
    "ReferringPhysicianName": "tokendoctor",
    "InstitutionName": "tokenhospital",
    "OperatorsName": "tokenoperator",
    "ImageComments": "tokenimage",
    "AccessionNumber": "tokenaccession",
    "DeviceSerialNumber": "tokenserial",
    "RequestedProcedureDescription": "tokenprocedure",
    "ProtocolName": "tokenprotocol",
    "StationName": "tokenstation",
}
PATIENT_ID = '=HYPERLINK("//tokenid","x")'
NAMES_THE_PATIENT = {"worklist.csv", "screening.sqlite"}
"""These two always have the patient's number, so that a row can be found again."""


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A hostile radiograph, and the folder with all that is made of it."""
    folder = tmp_path_factory.mktemp("privacy")
    model = tiny_models(folder / "models")[2].bundle.path
    path = make_source("cr", folder / "in")
    film = pydicom.dcmread(path)
    with quiet():
        film.SpecificCharacterSet = "ISO_IR 192"
        for keyword, text in TOKENS.items():
            setattr(film, keyword, text)
        film.PatientID = PATIENT_ID
        film.add_new(0x00091010, "LO", "tokenprivate")
        film.preamble = b"tokenpreamble".ljust(128, b"\0")
        film.save_as(path)
    return path, folder / "out", model


@pytest.fixture(scope="module")
def said(written):
    """What the verbs print; they write to the folder."""
    from typer.testing import CliRunner

    from medcnn.cli import app

    path, out, model = written
    words = []
    for verb in (
        ["screen", path.parent, "-o", out / "screen", "--heatmaps", "all"],
        ["explain", path, "-o", out / "explain", "--format", "dicom", "--format",
         "png"],
        ["predict", path, "--json"],
    ):  # fmt: skip
        options = [*map(str, verb), "--model", str(model)]
        done = CliRunner().invoke(app, options, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        words.append(done.output)
    inspected = CliRunner().invoke(app, ["inspect", str(path)], catch_exceptions=False)
    return "\n".join([*words, inspected.output])


def raw(path):
    """A file's bytes; those of a PNG's chunks also unpacked."""
    data = path.read_bytes()
    if path.suffix == ".png":
        packed = b"".join(data.split(b"IDAT")[1:])
        with contextlib.suppress(zlib.error):  # several chunks
            data += zlib.decompressobj().decompress(packed)
    return data


def test_no_output_holds_or_runs_hostile_text(written, said):
    _, out, _ = written
    files = [file for file in out.rglob("*") if file.is_file()]
    assert {".html", ".csv", ".png", ".dcm", ".sqlite"} <= {f.suffix for f in files}
    for file in files:
        data = raw(file)
        allowed = b"tokenid" if file.name in NAMES_THE_PATIENT else b""
        for part in data.split(b"token")[1:]:
            found = b"token" + part[:12]
            known = allowed and found.startswith(allowed)
            assert known or not found[5:].startswith(HOSTILE), (file.name, found)
        assert "token" not in file.name
    assert not any(f"token{word.decode()}" in said for word in HOSTILE)
    assert "\x1b[2J" not in said


HOSTILE = tuple(
    word.encode()
    for word in (
        "name", "comment", "street", "other", "study", "series", "doctor", "hospital",
        "operator", "image", "accession", "serial", "procedure", "protocol", "station",
        "private", "preamble", "id",
    )
)  # fmt: skip


def test_a_table_starts_no_formula(written, said):
    _, out, _ = written
    with (out / "screen" / "worklist.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)

    assert "HYPERLINK" in row["patient_id"]
    assert not row["patient_id"].startswith(("=", "+", "-", "@", "\t", "\r"))


def test_with_identify_the_page_shows_the_number_as_text(written, medcnn, said):
    _, out, _ = written
    assert medcnn("report", out / "screen", "--identify").returncode == 0
    page = (out / "screen" / "report.html").read_text(encoding="utf-8")
    tags = Tags()
    tags.feed(page)

    assert "tokenid" in page
    assert "tokenname" not in page
    assert not any(name.startswith("on") for name in tags.attributes)


class Tags(html.parser.HTMLParser):
    """Collects attributes as a browser would see them."""

    def __init__(self):
        super().__init__()
        self.attributes = set()

    def handle_starttag(self, _, attrs):
        self.attributes |= {name for name, _ in attrs}
