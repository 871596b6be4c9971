"""Hostile text of a DICOM file and a patient's identity, over all that is written."""

import contextlib
import csv
import html.parser
import zlib

import pydicom
import pytest
from dicom_cases import make_source, tiny_models

import medcnn
from medcnn.io.dicom.parse import quiet
from medcnn.isolation import SafeReader
from medcnn.pacs import Spool, Station
from medcnn.pacs.station import Settings

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
    "OtherPatientNames": "tokenalias",
    "PatientTelephoneNumbers": "tokenphone",
    "EthnicGroup": "tokengroup",
    "AdditionalPatientHistory": "tokenhistory",
    "InstitutionAddress": "tokenplace",
    "PhysiciansOfRecord": "tokenrecord",
}
PATIENT_ID = '=HYPERLINK("//tokenid","x")'
BIRTH_DATE = "19370213"


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
        film.PatientID, film.PatientBirthDate = PATIENT_ID, BIRTH_DATE
        film.add_new(0x00091010, "LO", "tokenprivate")
        inside = pydicom.Dataset()
        inside.ScheduledProcedureStepDescription = "tokennested"
        film.RequestAttributesSequence = [inside]
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
        ["evaluate", labelled(path, out.parent / "labelled"), "-o",
         out / "evaluate"],
        ["report", out / "screen"],
        ["report", out / "evaluate"],
    ):  # fmt: skip
        options = [*map(str, verb)]
        if verb[0] != "report":
            options += ["--model", str(model)]
        done = CliRunner().invoke(app, options, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        words.append(done.output)
    broken = path.with_name("broken.dcm")
    broken.write_bytes(path.read_bytes()[:-3000])
    words += [
        CliRunner().invoke(app, [verb, str(file)]).output
        for verb in ("inspect", "predict")
        for file in (path, broken)
    ]
    broken.unlink()
    return "\n".join([*words, *listened(path, out.parent, model)])


def labelled(path, folder):
    """A table of films of the patient whom only their headers name."""
    folder.mkdir()
    label = "abnormal"
    lines = [f"path,{label}"]
    for number in range(6):
        with quiet():
            film = pydicom.dcmread(path)
            film.SOPInstanceUID = f"1.2.3.{number}"
            film.file_meta.MediaStorageSOPInstanceUID = film.SOPInstanceUID
            film.save_as(folder / f"{number}.dcm")
        lines.append(f"{number}.dcm,{number % 2}")
    (folder / "cases.csv").write_text("\n".join(lines) + "\n")
    return folder / "cases.csv"


def listened(path, folder, model):
    """What `medcnn listen` logs of a film; its results name the patient on purpose."""
    spool = Spool(folder / "spool")
    spool.keep((PATIENT_ID, "tokenstudy"), "1.2", path)
    logged = []
    with SafeReader() as reader:
        settings = Settings(quiet_s=0)
        opened = medcnn.Model.open(model)
        station = Station(spool, opened, reader, settings=settings, tell=logged.append)
        while station.step():
            pass
    logged += [file.name for file in spool.folder.rglob("*")]
    return [*logged, str(spool.entries())]


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
    assert {"worklist.csv", "predictions.csv", "screening.sqlite"} <= {
        f.name for f in files
    }
    for file in files:
        data = raw(file)
        for part in data.split(b"token")[1:]:
            assert not part.startswith(HOSTILE), (file.name, part[:12])
        assert BIRTH_DATE.encode() not in data, file.name
        assert "token" not in file.name
    assert not any(f"token{word.decode()}" in said for word in HOSTILE)
    assert BIRTH_DATE not in said
    assert "\x1b[2J" not in said


HOSTILE = tuple(
    word.encode()
    for word in (
        "name", "comment", "street", "other", "study", "series", "doctor", "hospital",
        "operator", "image", "accession", "serial", "procedure", "protocol", "station",
        "private", "preamble", "id", "alias", "phone", "group", "history", "place",
        "record", "nested",
    )
)  # fmt: skip


HOSTILE_NAMES = {
    "PatientID": "../../x",
    "PatientName": "x" * 300,
    "AccessionNumber": "CON",
    "StudyID": "a\0b",
    "SeriesDescription": "/etc/x",
    "StudyDescription": "a:b*",
}


def test_no_file_is_named_by_what_a_header_says(written, tmp_path):
    from medcnn.cli import app

    _, _, model = written
    path = make_source("cr", tmp_path / "plain")
    hostile = tmp_path / "hostile" / path.name
    hostile.parent.mkdir()
    with quiet():
        film = pydicom.dcmread(path)
        for keyword, text in HOSTILE_NAMES.items():
            setattr(film, keyword, text)
        film.save_as(hostile)
    names = []
    for file in (path, hostile):
        out = tmp_path / f"out-{file.parent.name}"
        for words in (
            ["explain", file, "-o", out / "explain", "--format", "dicom"],
            ["screen", file.parent, "-o", out / "screen", "--heatmaps", "all"],
        ):
            with contextlib.suppress(SystemExit):
                app([*map(str, words), "--model", str(model)], prog_name="medcnn")
        names.append({str(f.relative_to(out)) for f in out.rglob("*")})
    assert len(names[0]) > 5
    assert names[1] == names[0]
    assert {f.name for f in tmp_path.iterdir()} == {
        "plain", "hostile", "out-plain", "out-hostile"
    }  # fmt: skip


@pytest.mark.parametrize("head", [b"MZ\x90", b"\x7fELF", b"<html><script>", b"II*\0"])
def test_a_preamble_that_is_a_program_is_never_copied(written, medcnn, tmp_path, head):
    path = make_source("cr", tmp_path / "in")
    path.write_bytes(head.ljust(128, b"\1") + path.read_bytes()[128:])

    explain = ["explain", path, "-o", tmp_path / "out", "--model", written[2]]
    assert medcnn(*explain, "--format", "dicom").returncode == 0
    assert medcnn("deidentify", path, "-o", tmp_path / "out2").returncode == 0

    made = [*(tmp_path / "out").rglob("*.dcm"), *(tmp_path / "out2").rglob("*.dcm")]
    assert len(made) >= 3
    assert {file.read_bytes()[:132] for file in made} == {bytes(128) + b"DICM"}


@pytest.fixture(scope="module")
def named(written):
    """The output of a run that keeps the patient's number."""
    from typer.testing import CliRunner

    from medcnn.cli import app

    path, out, model = written
    folder = out.with_name("named")
    words = "screen", path.parent, "-o", folder, "--model", model, "--identify"
    done = CliRunner().invoke(app, [*map(str, words)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return folder


def test_a_table_starts_no_formula(named):
    with (named / "worklist.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)

    assert "HYPERLINK" in row["patient_id"]
    assert not row["patient_id"].startswith(("=", "+", "-", "@", "\t", "\r"))


def test_with_identify_the_page_shows_the_number_as_text(named):
    page = (named / "report.html").read_text(encoding="utf-8")
    tags = Tags()
    tags.feed(page)

    assert "tokenid" in page
    assert "tokenname" not in page
    assert not any(name.startswith("on") for name in tags.attributes)
    assert b"tokenid" in (named / "screening.sqlite").read_bytes()
    assert not (named / "patients.key").exists()


class Tags(html.parser.HTMLParser):
    """Collects attributes as a browser would see them."""

    def __init__(self):
        super().__init__()
        self.attributes = set()

    def handle_starttag(self, _, attrs):
        self.attributes |= {name for name, _ in attrs}
