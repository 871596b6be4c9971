"""The report's page, read by an independent HTML parser."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest
from runs import FLAG, LABELS, REVIEW, make_row, make_run

from medcnn.errors import DataError, OutputError
from medcnn.report import write_report
from medcnn.report.figures import gradient, histogram
from medcnn.report.groups import MOST_VALUES, groups_of
from medcnn.report.page import MORE_CARDS, MOST_CARDS
from medcnn.report.pictures import Embedder, beside
from medcnn.results import Band, Status

HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(2)>'


class Page(HTMLParser):
    """Everything a page holds: (tag, attributes) in order, and text by tag."""

    def __init__(self, path):
        super().__init__()
        self.elements = []
        self.texts = {}
        self.text = ""
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        tag = self.elements[-1][0] if self.elements else ""
        self.texts.setdefault(tag, []).append(data)
        self.text += data

    def having(self, tag, **wanted):
        named = {name.rstrip("_"): value for name, value in wanted.items()}
        return [
            attrs
            for found, attrs in self.elements
            if found == tag and named.items() <= attrs.items()
        ]

    def cards(self):
        return [a for t, a in self.elements if t == "article"]

    def data(self):
        return json.loads(self.texts["script"][0])


@pytest.fixture
def rows():
    """Two flags, one to review, one without a flag, one out of scope, one error."""
    scores = (0.9, 0.7, 0.4, 0.1, None, None)
    made = [make_row(n, probability=p) for n, p in enumerate(scores, start=1)]
    made[5] = make_row(6, status=Status.ERROR, reason="cut off")
    return made


def test_every_image_is_on_the_page_in_the_order_of_the_worklist(tmp_path, rows):
    page = Page(write_report(make_run(tmp_path, rows)))

    states = [card["class"].split()[1] for card in page.cards()]
    assert states == ["flag", "flag", "review", "no-flag", "out_of_scope", "error"]
    data = page.data()
    assert [row[1] for row in data["rows"]] == [row.path for row in rows]
    assert [row[3] for row in data["rows"]][:4] == [0.9, 0.7, 0.4, 0.1]


def test_counts_thresholds_reasons_and_the_notice_are_said(tmp_path, rows):
    error = ("films/00006.dcm", "decode", "cut off", "Copy it again.")
    page = Page(write_report(make_run(tmp_path, rows, errors=[error])))

    assert "6 images, 2 flagged" in page.texts["h1"][0]
    for words in (
        "For research use only",
        "modality MR",
        "Copy it again.",
        "not a lesion's outline",
        f"review {REVIEW:.2f}",
        f"flag {FLAG:.2f}",
        "Scores adult chest radiographs",
        "ab" * 32,
        "2026.4",
    ):
        assert words in page.text


def test_scores_of_what_is_out_of_scope_are_not_shown(tmp_path):
    row = make_row(1, probability=0.8734, status=Status.OUT_OF_SCOPE, band=None)
    page = Page(write_report(make_run(tmp_path, [row])))

    (card,) = re.findall(r"<article.*?</article>", page.source, re.DOTALL)
    assert "0.87" not in card
    assert "Out of scope" in card


def test_a_bar_has_the_length_of_its_probability_and_both_marks(tmp_path, rows):
    page = Page(write_report(make_run(tmp_path, rows)))

    fills = [a["width"] for a in page.having("rect") if "fill" in a.get("class", "")]
    marks = [a["x"] for a in page.having("rect") if "tick" in a.get("class", "")]
    assert fills[:2] == ["90.00", "45.00"]
    assert marks[:2] == [f"{REVIEW * 100 - 0.4:.2f}", f"{FLAG * 100 - 0.4:.2f}"]


# ------------------------------------------------------------------- hostility


def test_what_the_order_would_miss_is_said_or_that_nobody_knows(tmp_path, rows):
    page = Page(write_report(make_run(tmp_path, rows)))

    words = " ".join(page.text.split())
    assert "Nothing is hidden, deleted or moved at the source" in words
    assert "the model carries no counts for this threshold" in words
    assert "3 (75 %)" in words


def test_hostile_names_become_text_and_make_no_elements(tmp_path, rows):
    tame = Page(write_report(make_run(tmp_path / "tame", rows)))
    evil = [make_row(1, probability=0.9, path=HOSTILE, patient_id=HOSTILE), *rows[1:]]
    evil[4] = make_row(5, reason=HOSTILE, path=f"</script>{HOSTILE}")
    errors = [(HOSTILE, "decode", HOSTILE, HOSTILE)]
    page = Page(write_report(make_run(tmp_path / "evil", evil, errors=errors)))

    def count(p, *tags):
        return [sum(t == tag for t, _ in p.elements) for tag in tags]

    assert count(page, "script", "img", "iframe") == count(
        tame, "script", "img", "iframe"
    )
    assert HOSTILE in page.text
    assert not [a for _, a in page.elements if any(k.startswith("on") for k in a)]
    assert not [a for _, a in page.elements if "style" in a]


def test_html_and_scripts_in_a_card_are_shown_as_text(tmp_path, rows):
    page = Page(write_report(make_run(tmp_path, rows)))

    assert '<script>document.title = "owned"</script>' in page.text
    assert "adults" in page.texts["strong"]
    assert "0.80" in page.texts["td"]
    assert not [a for a in page.having("a") if "javascript" in a.get("href", "")]
    assert not [a for a in page.having("img") if "example.org" in a.get("src", "")]


def test_policy_allows_exactly_the_texts_of_the_page(tmp_path, rows):
    page = Page(write_report(make_run(tmp_path, rows)))

    (meta,) = page.having("meta", **{"http-equiv": "Content-Security-Policy"})
    policy = dict(part.split(" ", 1) for part in meta["content"].split("; "))
    assert policy["default-src"] == "'none'"
    for kind, text in (
        ("style-src", page.texts["style"][0]),
        (
            "script-src",
            re.findall(r"<script>(.*?)</script>", page.source, re.DOTALL)[0],
        ),
    ):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert policy[kind] == f"'sha256-{digest}'"


@pytest.mark.parametrize(
    "name",
    [
        "../secret.png",
        "thumbnails/../../a.png",
        "/etc/passwd",
        "http://a/b.png",
        "thumbnails/a.svg",
        "thumbnails/a b.png",
        "thumbnails/.png\n",
        "",
    ],
)
def test_only_pictures_of_the_run_are_linked(name):
    assert beside(name) == ""


def test_a_picture_that_is_missing_is_not_linked(tmp_path, rows):
    output = make_run(tmp_path, rows)
    (output / "thumbnails" / "00001.jpg").unlink()

    page = Page(write_report(output))

    assert len([a for a in page.having("img", class_="scan") if a.get("src")]) == 4
    assert "No picture" in page.text


# ----------------------------------------------------------------------- sizes


def test_pictures_lie_in_the_page_up_to_the_budget_and_beside_it_after(tmp_path):
    (tmp_path / "thumbnails").mkdir()
    for n in range(3):
        (tmp_path / f"thumbnails/{n}.png").write_bytes(bytes(100))
    embedder = Embedder(tmp_path, budget=250)

    sources = [embedder.source(f"thumbnails/{n}.png") for n in range(3)]

    assert [s[:15] for s in sources[:2]] == ["data:image/png;"] * 2
    assert base64.b64decode(sources[0].partition(",")[2]) == bytes(100)
    assert sources[2] == "thumbnails/2.png"
    assert embedder.embedded == 2


def test_of_many_images_the_urgent_and_the_refused_get_cards_and_all_a_row(tmp_path):
    count = MOST_CARDS + 200
    rows = [make_row(n, probability=1 - n / count / 2) for n in range(1, count)]
    rows += [make_row(count + n) for n in range(100)]
    page = Page(write_report(make_run(tmp_path, rows, pictures=False)))

    indices = [int(card["data-index"]) for card in page.cards()]
    assert indices[:MOST_CARDS] == list(range(MOST_CARDS))
    assert indices[MOST_CARDS:] == list(range(count - 1, count - 1 + MORE_CARDS))
    assert len(page.data()["rows"]) == len(rows)


@pytest.mark.slow
def test_a_page_of_50000_images_stays_light(tmp_path):
    rows = [make_row(n, probability=1 - n / 50_001) for n in range(1, 50_001)]

    page = write_report(make_run(tmp_path, rows, pictures=False))

    assert page.stat().st_size < 12 * 2**20


def test_a_run_without_a_single_image_makes_a_page_too(tmp_path):
    page = Page(write_report(make_run(tmp_path, [])))

    assert "0 images, 0 flagged" in page.texts["h1"][0]
    assert "There was no image" in page.text


# ---------------------------------------------------------------------- errors


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"run\.json cannot be read"):
        write_report(tmp_path)


def test_a_page_that_cannot_be_written_is_an_output_error(tmp_path, rows):
    make_run(tmp_path, rows)
    (tmp_path / "report.html").mkdir()

    with pytest.raises(OutputError, match="cannot be written"):
        write_report(tmp_path)


# -------------------------------------------------------------------- drawings


def test_histogram_counts_every_image_once_and_stacks_to_its_count():
    scores = [(0.0, Band.NO_FLAG), (0.011, Band.NO_FLAG), (0.61, Band.FLAG)]
    scores += [(1.0, Band.FLAG), (0.6, Band.REVIEW)]

    drawn = histogram(scores, review=0.3, flag=0.6)

    heights = [sum(part.height for part in column.parts) for column in drawn.columns]
    assert drawn.total == 5
    assert drawn.top == 2
    assert heights == [140, 140, 70]
    assert [part.band for part in drawn.columns[1].parts] == ["flag", "review"]
    assert (drawn.review, drawn.flag) == (150, 300)


def test_histogram_of_nothing_is_empty():
    drawn = histogram([], review=0.3, flag=0.6)

    assert drawn.columns == ()
    assert drawn.top == 1


@pytest.mark.parametrize(
    ("count", "top"), [(1, 1), (7, 8), (11, 20), (24, 30), (501, 600), (999, 1000)]
)
def test_histogram_ends_at_the_next_round_number(count, top):
    assert histogram([(0.5, Band.REVIEW)] * count, review=0.3, flag=0.6).top == top


def test_gradient_runs_evenly_from_low_to_high():
    stops = gradient(["#000000", "#808080", "#ffffff"], (0.0, 0.6))

    assert [stop.offset for stop in stops] == [0, 0.5, 1]
    assert [stop.opacity for stop in stops] == pytest.approx([0, 0.3, 0.6])


def test_labels_of_the_model_are_offered_as_filters(tmp_path, rows):
    page = Page(write_report(make_run(tmp_path, rows)))

    source = page.source.partition('id="least-label"')[2].partition("</select>")[0]
    assert re.findall("<option>(.*)</option>", source) == list(LABELS)


# -------------------------------------------------------------- who, and which run


def _of_a_patient(rank, **parts):
    uids = {"study_uid": "1.2.3", "series_uid": "1.2.4", "sop_uid": "1.2.5"}
    return make_row(rank, probability=0.9, patient_id="Doe-77", **uids, **parts)


def test_a_page_holds_no_patient_number_or_uid_unless_asked_for(tmp_path):
    output = make_run(tmp_path, [_of_a_patient(1)])

    plain = write_report(output).read_text()
    named = Page(write_report(output, identify=True))

    assert not any(words in plain for words in ("Doe-77", "1.2.3", "1.2.4", "1.2.5"))
    (row,) = named.data()["rows"]
    assert (row[5], row[10]) == ("Doe-77", ["1.2.3", "1.2.4", "1.2.5"])
    assert "This page names patients" in named.text
    assert "Patient Doe-77" in named.text


def test_marks_are_kept_for_the_run_however_often_its_report_is_made(tmp_path, rows):
    first = Page(write_report(make_run(tmp_path / "a", rows))).data()["run"]
    again = Page(write_report(make_run(tmp_path / "a", rows[:3]))).data()["run"]
    record = json.loads((tmp_path / "a/run.json").read_text())
    record["root"] = "/data/other"
    (tmp_path / "a/run.json").write_text(json.dumps(record))

    other = Page(write_report(tmp_path / "a")).data()["run"]

    assert first == again
    assert first != other


# ---------------------------------------------------------------------- groups


def test_folders_and_a_table_of_ones_own_become_groups(tmp_path):
    paths = ["a/1.dcm", "b/2.dcm", "3.dcm"]
    rows = [make_row(n, probability=0.9, path=p) for n, p in enumerate(paths, 1)]
    output = make_run(tmp_path, rows)
    table = "path,sex,case,same\na/1.dcm,F,1,x\n3.dcm,M,2,x\nb/2.dcm,,3,x\n"
    (output / "groups.csv").write_text(table)

    data = Page(write_report(output)).data()

    assert data["groups"] == [
        {"name": "Folder", "values": ["a", "b"]},
        {"name": "sex", "values": ["F", "M"]},
        {"name": "case", "values": ["1", "2", "3"]},
    ]
    assert [row[9] for row in data["rows"]] == [[0, 0, 0], [1, "", 2], ["", 1, 1]]


def test_what_headers_say_becomes_groups_before_the_table(tmp_path):
    (tmp_path / "groups.csv").write_text("path,sex\na,F\nb,M\n")
    facts = {"a": {"View": "PA", "Modality": "DX"}, "c": {"Modality": "CR"}}

    found = groups_of(["a", "b", "c"], tmp_path, facts)

    assert [(g.name, g.values, g.places) for g in found] == [
        ("View", ("PA",), (0, "", "")),
        ("Modality", ("CR", "DX"), (1, "", 0)),
        ("sex", ("F", "M"), (0, 1, "")),
    ]


@pytest.mark.parametrize("between", [",", ";"])
def test_a_table_of_a_spreadsheet_names_images_as_the_worklist_does(tmp_path, between):
    table = f"path{between}sex\r\n'=a.dcm{between}F\r\n'-b.dcm{between}M\r\n"
    (tmp_path / "groups.csv").write_bytes(table.encode("utf-8-sig"))

    (found,) = groups_of(["=a.dcm", "-b.dcm"], tmp_path)

    assert (found.values, found.places) == (("F", "M"), (0, 1))


def test_a_column_that_tells_every_image_apart_is_no_group(tmp_path):
    paths = [f"{n}/film.dcm" for n in range(MOST_VALUES + 1)]

    assert groups_of(paths, tmp_path) == []


@pytest.mark.parametrize(
    ("table", "words"), [("name,sex\na,F\n", "no column 'path'"), ('"a', "read as")]
)
def test_a_table_of_groups_that_cannot_be_used_is_refused(tmp_path, table, words):
    (tmp_path / "groups.csv").write_text(table)

    with pytest.raises(DataError, match=words):
        groups_of(["a"], tmp_path)


def test_names_cannot_turn_the_words_beside_them_round(tmp_path):
    rows = [
        make_row(1, probability=0.9, path="ward\u202e3/gpj.\u202emcd"),
        make_row(2, reason="modality \u2066MR"),
    ]
    errors = [("a\u202eb.dcm", "decode", "cut\u202d off", "")]
    page = Page(write_report(make_run(tmp_path, rows, errors=errors)))

    assert "gpj.\ufffdmcd" in page.text
    assert "modality \ufffdMR" in page.text
    assert not set("\u202d\u202e\u2066") & set(page.source)
    assert page.data()["rows"][0][1] == "ward\u202e3/gpj.\u202emcd"
