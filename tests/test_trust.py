"""How far heatmaps can be trusted: against marks, without marks, on a real bundle."""

import html
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from bundles import make_bundle
from predicted import write_rows

import medcnn
from medcnn.bundle import WEIGHTS
from medcnn.dataset import read_cases
from medcnn.errors import DataError
from medcnn.evaluation import EVALUATION, read_evaluation
from medcnn.evaluation.measures import Estimate
from medcnn.evaluation.trust import is_beyond
from medcnn.evaluation.trust_words import located_sentence, trust_warnings
from medcnn.preprocessing import Prepared
from medcnn.results import Prediction
from medcnn.training.heatmaps import trust_in
from medcnn.training.reporter import Reporter
from medcnn.trust import MethodMaps, TrustDesign, faithful, measure_trust
from medcnn.trust.looking import Looked, look, on_tensor
from medcnn.trust.means import Group
from medcnn.trust.randomised import shuffled

GROUP = Group(samples=200)
COUNT = 24


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    bundle = make_bundle(tmp_path_factory.mktemp("models") / "tiny", seed=3)
    return medcnn.Model.open(bundle.path)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Films of 50 x 40 pixels with a bright spot, two of each patient, and its box."""
    folder = tmp_path_factory.mktemp("marked")
    rng = np.random.default_rng(0)
    rows = []
    for n in range(COUNT):
        film = rng.normal(80, 10, (40, 50))
        x, y = rng.integers(4, 36), rng.integers(4, 28)
        film[y : y + 8, x : x + 10] += 90
        cv2.imwrite(str(folder / f"{n}.png"), film.clip(0, 255).astype(np.uint8))
        box = f"{x / 50:g} {y / 40:g} {(x + 10) / 50:g} {(y + 8) / 40:g}"
        rows.append(
            {
                "path": f"{n}.png",
                "patient_id": f"p{n // 2}",
                "abnormal": int(n % 4 != 3),
                "mass": int(n % 3 == 0),
                "bbox:abnormal": box if n % 4 != 3 else "none",
                "bbox:mass": box if n == 3 else "",
            }
        )
    return read_cases(write_rows(folder / "table.csv", rows))


def test_scores_are_what_a_hand_made_loop_gives(model, table):
    found = measure_trust(model, table.cases, TrustDesign(group=GROUP))
    hits, energy, centre = [], [], []
    for case in table.cases:
        if case.truth["abnormal"] != 1:
            continue
        image = medcnn.load(case.path)
        array = medcnn.explain(model, image, label="abnormal").array[..., 0]
        box = case.places["abnormal"].boxes[0]
        i0, i1 = round(box.low[0] * 50), round(box.high[0] * 50)
        j0, j1 = round(box.low[1] * 40), round(box.high[1] * 40)
        i, j = np.unravel_index(array.argmax(), array.shape)
        hits.append(array.any() and i0 <= i < i1 and j0 <= j < j1)
        energy.append(array[i0:i1, j0:j1].sum() / max(array.sum(), 1e-30))
        middle = [(i, j) for i in (24, 25) for j in (19, 20)]
        inside = [i0 <= i < i1 and j0 <= j < j1 for i, j in middle]
        centre.append(np.mean(inside))
    one = found.located["abnormal"]
    pointing, inside = one.scores[:2]
    assert (one.images, one.patients) == (18, 12)
    assert pointing.value.value == pytest.approx(np.mean(hits))
    assert pointing.centre.value == pytest.approx(np.mean(centre))
    assert pointing.less_centre.value == pytest.approx(np.mean(hits) - np.mean(centre))
    assert inside.value.value == pytest.approx(np.mean(energy), rel=1e-4)
    assert one.area == pytest.approx(10 * 8 / 2000) == pytest.approx(pointing.random)
    assert list(found.located) == ["abnormal", "mass"]


def test_one_patient_has_scores_and_is_too_few_to_judge(model, table):
    found = measure_trust(model, table.cases, TrustDesign(group=GROUP))
    one = found.located["mass"]
    assert (one.images, one.verdict) == (1, "too few")
    energy = one.scores[1]
    assert energy.usual is None
    assert energy.value.ci95 is None
    assert "no interval" in energy.value.method


def test_nothing_is_asked_where_nothing_is_marked_or_it_is_off(model, table):
    bare = [replace(case, places={}) for case in table.cases]
    assert measure_trust(model, bare) is None
    assert measure_trust(model, table.cases, TrustDesign(level="off")) is None


@pytest.fixture(scope="module")
def whole(model, table):
    bare = [replace(case, places={}) for case in table.cases]
    done = []
    design = TrustDesign(
        level="full",
        images=6,
        others={"flat": lambda _, looked, __: np.ones(looked.image.shape, "f4")},
        group=GROUP,
        progress=lambda now, total: done.append((now, total)),
    )
    found = measure_trust(model, bare, design)
    return bare, design, found, done


@pytest.mark.slow
def test_without_marks_the_checks_that_need_none_are_made(whole):
    _, _, found, done = whole
    assert found.located == {}
    assert found.faithfulness.images == 6
    assert done[-1] == (6, 6)
    assert [part.part for part in found.randomised] == ["head", "all weights"]
    assert all(-1 <= part.correlation.value <= 1 for part in found.randomised)
    (pair,) = found.agreement
    assert (pair.first, pair.second) == ("cam", "flat")
    assert pair.overlap.value == pytest.approx(0.05)
    ends = found.faithfulness.deletion, found.faithfulness.insertion
    assert ends[0].curve[0] == pytest.approx(ends[1].curve[-1])
    assert ends[0].curve[-1] == pytest.approx(ends[0].random_curve[-1])


@pytest.mark.slow
def test_the_same_seed_gives_the_same_numbers(model, whole):
    bare, design, found, _ = whole
    again = measure_trust(model, bare, design)
    assert again == found
    other = measure_trust(model, bare, replace(design, group=Group(200, seed=1)))
    assert other != found


def test_images_that_cannot_be_read_are_left_out(model, table, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    broken = [
        replace(case, path=tmp_path / "broken.png") if n == 0 else case
        for n, case in enumerate(table.cases)
    ]
    found = measure_trust(model, broken, TrustDesign(group=GROUP))
    assert found.located["abnormal"].images == 17


def test_a_mask_on_another_grid_is_an_error(model, table, tmp_path):
    mask = tmp_path / "mask.png"
    cv2.imwrite(str(mask), np.eye(7, dtype=np.uint8))
    case = table.cases[0]
    place = replace(case.places["abnormal"], boxes=(), mask=mask)
    with pytest.raises(DataError, match="mask"):
        measure_trust(model, [replace(case, places={"abnormal": place})])


def test_a_network_without_places_says_so(tmp_path, table):
    options = {"network": "mlp", "arguments": {"hidden": 8}}
    model = medcnn.Model.open(make_bundle(tmp_path / "mlp", **options).path)
    found = measure_trust(model, table.cases)
    assert found.located == {}
    assert "keeps no places" in found.notes[0]


def test_where_no_image_has_the_label_it_is_said(model, table):
    healthy = [case for case in table.cases if case.truth["abnormal"] == 0]
    found = measure_trust(model, healthy, TrustDesign(level="full"))
    assert found.faithfulness is None
    assert "Of abnormal no image" in found.notes[0]


class Counter16:
    """A model whose probability is the share of 16 lesion pixels that are intact."""

    def __init__(self, tensor, lesion):
        self.tensor, self.lesion = tensor, lesion

    def stream(self, tensors):
        for tensor in tensors:
            same = np.isclose(tensor, self.tensor)[0] & self.lesion
            share = same.sum() / self.lesion.sum()
            prediction = Prediction({"spot": float(share)}, {}, "", "")
            yield SimpleNamespace(prediction=prediction)


@pytest.fixture
def counted():
    """A film of 16 x 16 with a lesion of 4 x 4 in a corner, a sixteenth of it."""
    rng = np.random.default_rng(0)
    tensor = rng.random((1, 16, 16), np.float32)
    lesion = np.zeros((16, 16), bool)
    lesion[:4, :4] = True
    prepared = Prepared(tensor, np.eye(4), (16, 16, 1))
    answer = SimpleNamespace(features=np.zeros((1, 4, 4)))
    return Counter16(tensor, lesion), Looked(0, None, None, answer, prepared), lesion


@pytest.mark.parametrize(
    ("sign", "deletion", "insertion"),
    [
        (1, 1 / 32, 31 / 32),
        (-1, 31 / 32, 1 / 32),
    ],  # triangles over the first, last step
)
def test_areas_of_the_right_and_of_the_opposite_map_are_closed_forms(
    counted, sign, deletion, insertion
):
    model, looked, lesion = counted

    def maps(*_):
        return (lesion.T[..., None] * sign + 1).astype(np.float32)

    found = faithful.summary(
        [faithful.curves_of(model, looked, "spot", maps)], "spot", ["a"], GROUP
    )
    assert found.deletion.value.value == pytest.approx(deletion)
    assert found.insertion.value.value == pytest.approx(insertion)
    assert found.deletion.less_random.value * sign < 0
    assert found.verdict == "too few"


def test_a_map_reaches_the_tensor_where_it_belongs(model, table):
    image = medcnn.load(table.cases[0].path)
    _, prepared = model.answer(image)
    ramp = np.arange(50, dtype=np.float32)[:, None, None] * np.ones((1, 40, 1), "f4")
    found = on_tensor(ramp, prepared)  # 50 columns onto 32
    wanted = (np.arange(32) + 0.5) * 50 / 32 - 0.5
    np.testing.assert_allclose(found[7], wanted, atol=1e-4)


def test_shuffled_weights_are_the_same_numbers_elsewhere(model):
    before = Path(model.bundle.path / WEIGHTS).read_bytes()
    with shuffled(model, "all weights") as other:
        folder = other.bundle.path
        old, new = model.bundle.weights(), other.bundle.weights()
        assert other.bundle.sha256 != model.bundle.sha256
    for name, values in old.items():
        assert Counter(values.ravel().tolist()) == Counter(new[name].ravel().tolist())
        assert np.array_equal(values, new[name]) == (values.ndim < 2)
    assert Path(model.bundle.path / WEIGHTS).read_bytes() == before
    assert not folder.exists()


def test_a_shuffled_head_keeps_the_features_and_changes_the_answer(model, table):
    image = medcnn.load(table.cases[0].path)
    answer, _ = model.answer(image)
    with shuffled(model, "head") as other:
        changed, _ = other.answer(image)
    np.testing.assert_allclose(changed.features, answer.features, rtol=1e-5)
    assert not np.allclose(changed.logits, answer.logits)


def test_the_copy_is_gone_after_a_failure(model):
    seen = []

    def fail():
        with shuffled(model, "head") as other:
            seen.append(other.bundle.path)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert not seen[0].exists()


@pytest.mark.parametrize(
    ("ends", "patients", "verdict"),
    [
        ((0.1, 0.3), 12, "better"),
        ((-0.1, 0.3), 12, "not shown"),
        ((-0.3, -0.1), 12, "worse"),
        ((0.1, 0.3), 9, "too few"),
    ],
)
def test_a_verdict_needs_the_whole_interval_and_ten_patients(ends, patients, verdict):
    found = Estimate(value=sum(ends) / 2, ci95=ends)
    assert is_beyond((found,), (1,), patients) == verdict
    turned = Estimate(value=-sum(ends) / 2, ci95=(-ends[1], -ends[0]))
    assert is_beyond((turned,), (-1,), patients) == verdict


def test_differences_without_an_interval_are_judged_by_their_value():
    found = Estimate(value=0.0, ci95=None)
    assert is_beyond((found,), (1,), 20) == "not shown"


@pytest.mark.slow
def test_evaluate_writes_the_same_scores_to_json_page_and_warnings(
    model, table, tmp_path
):
    found = medcnn.evaluate(
        model, table.source, split="all", output=tmp_path, bootstrap=50
    )
    again = measure_trust(model, table.cases, TrustDesign(group=Group(50)))
    assert found.trust == again
    assert read_evaluation(tmp_path / EVALUATION).trust == again
    page = (tmp_path / "report.html").read_text()
    assert html.escape(located_sentence("abnormal", again.located["abnormal"])) in page
    assert set(trust_warnings(again)) <= set(found.warnings)
    off = medcnn.evaluate(model, table.source, split="all", bootstrap=0, trust="off")
    assert off.trust is None


@pytest.mark.slow
def test_a_new_models_card_has_what_evaluate_would_say(model, table):
    reporter = Reporter(visible=False)
    found = trust_in(model.bundle, {"val": table, "test": table.take([])}, reporter)
    assert found == {"val": measure_trust(model, table.cases)}


def test_maps_of_a_method_are_those_of_explain(model, table):
    (looked,) = look(model, table.cases[:1])
    for method in ("cam", "occlusion"):
        maps = MethodMaps(method)
        for label in ("mass", "abnormal"):
            wanted = medcnn.explain(model, looked.image, label=label, method=method)
            found = maps(model, looked, label)
            np.testing.assert_allclose(found, wanted.array, rtol=1e-4, atol=1e-7)
