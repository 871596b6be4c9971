"""Has a site moved? Tests that hold their false alarm rate, and see what moves."""

import json
import shutil

import cv2
import numpy as np
import pytest
from runs import make_row, make_run
from scipy.stats import binom, chi2_contingency, ks_2samp
from screens import three_bands

import medcnn
from medcnn.drift import (
    ALPHA,
    FEWEST,
    Numbers,
    Sample,
    SampleMaker,
    acquisition_of,
    read_sample,
)
from medcnn.drift.compare import compare
from medcnn.drift.sample import MOST_VALUES
from medcnn.errors import DataError
from medcnn.image import Image
from medcnn.report import write_report
from medcnn.worklist import RUN, read_run, write_run


def sample(rows, patients=None, source="before"):
    maker = SampleMaker()
    for n, row in enumerate(rows):
        maker.add(row, None if patients is None else patients[n])
    return maker.sample(source)


def numbers(values, source="before"):
    return sample([{"score": float(value)} for value in values], source=source)


def words(values):
    return sample([{"view": value} for value in values])


def test_numbers_are_compared_as_scipy_does():
    rng = np.random.default_rng(0)
    one, other = rng.normal(0, 1, 130), rng.normal(0.4, 1, 90)
    (move,) = compare(numbers(one), numbers(other)).moves
    known = ks_2samp(one, other, method="asymp")
    assert move.shift == pytest.approx(known.statistic)
    assert move.p == pytest.approx(known.pvalue)
    assert (move.before, move.now) == (130, 90)


def test_words_are_compared_as_scipy_does():
    one = ["PA"] * 60 + ["AP"] * 40
    other = ["PA"] * 50 + ["AP"] * 90
    (move,) = compare(words(one), words(other)).moves
    table = [[40, 60], [90, 50]]
    assert move.p == pytest.approx(chi2_contingency(table, correction=False).pvalue)
    assert move.shift == pytest.approx(0.6 - 50 / 140)
    assert move.words == "AP: 40 % before, 64 % now"
    assert move.moved


def test_the_stability_index_is_that_of_the_textbook():
    one, other = ["a"] * 50 + ["b"] * 50, ["a"] * 70 + ["b"] * 30
    (move,) = compare(words(one), words(other)).moves
    expected = 0.2 * np.log(0.7 / 0.5) + (-0.2) * np.log(0.3 / 0.5)
    assert move.psi == pytest.approx(expected)


def test_rare_words_are_tested_as_one():
    rng = np.random.default_rng(0)
    rare = [f"device {n}" for n in range(40)]
    draw = lambda: ["common"] * 160 + list(rng.choice(rare, 40))  # noqa: E731
    (move,) = compare(words(draw()), words(draw())).moves
    assert move.p == pytest.approx(1.0)
    assert compare(words(["x"] * 60), words(["x"] * 60)).moves[0].p == 1


def test_many_values_are_kept_as_ranks_that_know_the_distribution():
    rng = np.random.default_rng(1)
    values = rng.normal(size=20_000)
    kept = numbers(values).numbers["score"]
    assert (kept.count, len(kept.values)) == (20_000, MOST_VALUES)
    known = ks_2samp(values, kept.values).statistic
    assert known <= 1 / MOST_VALUES + 1e-4


def world(rng, count, shift=0.0):
    """Draw images of one world."""
    columns = {
        "score": rng.beta(1, 3, count),
        "distance": rng.normal(1, 0.2, count) + shift,
        "rows": rng.choice([2048.0, 2500.0, 3000.0], count),
        "brightness": rng.normal(0.5, 0.1, count),
        "contrast": rng.normal(0.4, 0.1, count),
        "view": rng.choice(["PA", "AP"], count, p=[0.7, 0.3]),
        "device": rng.choice(list("abcdefgh"), count),
        "scope": rng.choice(["in scope", "out of scope"], count, p=[0.98, 0.02]),
    }
    lists = {name: values.tolist() for name, values in columns.items()}
    return [
        dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)
    ]


@pytest.mark.parametrize(("before", "now"), [(60, 60), (300, 120)])
def test_where_nothing_moved_false_alarms_are_as_rare_as_stated(before, now):
    rng = np.random.default_rng(2)
    trials = 60
    found = [
        compare(sample(world(rng, before)), sample(world(rng, now)))
        for _ in range(trials)
    ]
    by_p = sum(any(m.p_all < ALPHA for m in one.moves) for one in found)
    alarms = sum(one.verdict == "moved" for one in found)
    assert len(found[0].moves) == 8
    assert by_p <= binom.ppf(0.999, trials, ALPHA)
    assert alarms <= by_p


def test_a_shifted_world_is_seen_and_only_what_moved_is_named():
    rng = np.random.default_rng(3)
    seen = 0
    for _ in range(20):
        moved = compare(sample(world(rng, 300)), sample(world(rng, 200, shift=0.12)))
        seen += [m.name for m in moved.moves if m.moved] == ["distance"]
    assert seen >= 18


def test_a_difference_that_means_nothing_does_not_count_however_many_there_are():
    rng = np.random.default_rng(4)
    found = compare(
        numbers(rng.normal(0, 1, 30_000)), numbers(rng.normal(0.08, 1, 30_000))
    )
    assert found.moves[0].p_all < 1e-6
    assert found.verdict == "no sign of a move"


def test_images_of_one_patient_count_once():
    rng = np.random.default_rng(5)
    alarms = {"with": 0, "without": 0}
    for _ in range(40):
        sides = []
        for _ in range(2):
            own = np.repeat(rng.normal(size=60), 20)
            rows = [{"score": float(value)} for value in own]
            sides.append((rows, [str(n // 20) for n in range(1200)]))
        know = compare(*(sample(rows, patients) for rows, patients in sides))
        naive = compare(*(sample(rows) for rows, _ in sides))
        alarms["with"] += know.verdict == "moved"
        alarms["without"] += naive.verdict == "moved"
        assert (know.moves[0].before, naive.moves[0].before) == (60, 1200)
        assert "say no patient" in naive.notes[0]
        assert not know.notes
    assert alarms["with"] <= binom.ppf(0.999, 40, ALPHA)
    assert alarms["without"] > 10


def test_too_few_are_not_tested_and_said():
    few = numbers(np.arange(FEWEST - 1))
    found = compare(numbers(np.arange(FEWEST)), few)
    assert found.verdict == "too few to tell"
    assert found.untested == {"score": "known of 50 before and 49 now, 50 needed"}


def test_corrected_p_is_holms():
    rng = np.random.default_rng(6)
    found = compare(sample(world(rng, 80)), sample(world(rng, 80, shift=0.1)))
    raw = np.array(sorted(move.p for move in found.moves))
    steps = np.minimum(1, raw * np.arange(len(raw), 0, -1))
    known = np.maximum.accumulate(steps)
    assert sorted(move.p_all for move in found.moves) == pytest.approx(list(known))


def test_acquisition_tells_device_view_size_and_where_the_values_lie():
    picture = np.arange(200 * 100, dtype=np.uint16).reshape(200, 100)
    facts = {"manufacturer": "ACME ", "device_model": "X1", "view": "PA", "bits": "12"}
    found = acquisition_of(Image.from_picture(picture, modality="DX", facts=facts))
    assert found["device"] == "ACME X1"
    assert (found["modality"], found["view"], found["bits"]) == ("DX", "PA", "12")
    assert (found["rows"], found["columns"]) == (200, 100)
    low, middle, high = np.percentile(picture, (0.5, 50, 99.5))
    assert found["brightness"] == pytest.approx((middle - low) / (high - low), abs=1e-4)
    assert found["contrast"] == pytest.approx(0.5 / 0.99, abs=1e-3)
    assert "brightness" not in acquisition_of(Image.from_picture(np.ones((9, 9))))


def test_a_sample_that_is_broken_is_refused(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_sample(tmp_path / "none.json")
    (tmp_path / "x.json").write_text('{"source": "x", "images": 1, "units": 1, "y": 2}')
    with pytest.raises(DataError, match="is no sample of images: y"):
        read_sample(tmp_path / "x.json")
    with pytest.raises(ValueError, match="must rise"):
        Numbers(count=2, values=(2.0, 1.0))


# ------------------------------------------------------------------ runs


def films(folder, count, *, side, seed):
    """Write films of one patient each, as 8-bit PNG without a header."""
    rng = np.random.default_rng(seed)
    folder.mkdir()
    for n in range(count):
        film = cv2.GaussianBlur(rng.normal(size=(side, side)), (0, 0), 3)
        grey = cv2.normalize(film, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
        cv2.imwrite(str(folder / f"{n:03d}.png"), grey)
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Three runs of one model: twice of the same world, then of another size."""
    root = tmp_path_factory.mktemp("drift")
    model = three_bands(root / "model")
    earlier = []
    for name, side, seed in (("a", 40, 1), ("b", 40, 2), ("c", 64, 3)):
        folder = films(root / name, 60, side=side, seed=seed)
        output = root / f"out-{name}"
        medcnn.screen(
            folder,
            model=model,
            output=output,
            workers=1,
            heatmaps="none",
            compare_with=earlier,
        ).run()
        earlier = [*earlier, output]
    return root


def test_a_run_of_the_same_world_has_not_moved_and_one_of_another_has(runs):
    (same,) = read_run(runs / "out-b" / RUN).drift
    assert same.verdict == "no sign of a move"
    record = read_run(runs / "out-c" / RUN)
    assert [one.verdict for one in record.drift] == ["moved", "moved"]
    named = {move.name for move in record.drift[0].moves if move.moved}
    assert {"rows", "columns"} <= named
    assert record.statistics.units == record.statistics.without_patient == 60


def test_scores_are_those_of_the_worklist(runs):
    kept = read_run(runs / "out-a" / RUN).statistics.numbers["score"].values
    rows = medcnn.worklist.read_worklist(runs / "out-a" / "worklist.csv")
    scores = sorted(row.probability for row in rows)
    assert kept == pytest.approx(scores, abs=1e-5)


def test_the_verb_compares_stored_runs(runs, medcnn, capsys):
    told = medcnn("drift", runs / "out-a", runs / "out-c", "--json")
    facts = json.loads(told.stdout)
    assert facts["images"] == 60
    (one,) = facts["comparisons"]
    assert one["verdict"] == "moved"
    assert str(runs / "out-a") in one["against"]
    told = medcnn("drift", runs / "out-a", runs / "out-c")
    assert "moved: rows (median 40 before, 64 now)" in " ".join(told.stdout.split())


def test_a_run_of_another_model_is_refused(runs, tmp_path):
    other = three_bands(tmp_path / "other", seed=9)
    with pytest.raises(DataError, match="not by the same weights"):
        medcnn.screen(
            runs / "a",
            model=other,
            output=tmp_path / "o",
            compare_with=[runs / "out-a"],
        )
    with pytest.raises(DataError, match="cannot be read"):
        medcnn.screen(
            runs / "a", model=other, output=tmp_path / "p", compare_with=[tmp_path]
        )


def test_scores_of_another_calibration_are_not_compared(runs, tmp_path):
    model = tmp_path / "calibrated"
    shutil.copytree(runs / "model", model)
    facts = json.loads((model / "bundle.json").read_text())
    points = facts["operating_points"]
    facts["calibration"] = [
        {"label": points[0]["label"], "slope": 1, "intercept": 3, "fitted_on": "site"}
    ]
    points[0].update(flag=0.9, review=0.8)
    (model / "bundle.json").write_text(json.dumps(facts))
    earlier = {"compare_with": [runs / "out-a"], "workers": 1, "heatmaps": "none"}
    found = medcnn.screen(runs / "b", model=model, output=tmp_path / "o", **earlier)
    (drift,) = found.run().drift
    assert drift.verdict == "no sign of a move"
    assert "score" in drift.untested
    assert "another calibration" in drift.against


def test_the_report_says_what_moved(tmp_path):
    output = make_run(tmp_path, [make_row(1, probability=0.9)], pictures=False)
    record = read_run(output / RUN)
    rng = np.random.default_rng(7)
    found = compare(
        sample(world(rng, 90), source="the val cases <b>of</b> x"),
        sample(world(rng, 90, shift=1)),
    )
    write_run(output / RUN, record.model_copy(update={"drift": (found,)}))
    page = write_report(output).read_text()
    assert "Moved</b> against the val cases &lt;b&gt;of&lt;/b&gt; x: distance." in page
    assert Sample.model_validate_json(numbers([1.0]).model_dump_json()).units == 1
