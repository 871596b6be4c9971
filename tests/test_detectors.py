"""Normal-only detectors: PaDiM and PatchCore against their definitions, and in use."""

import csv
import json

import cv2
import numpy as np
import pytest
from bundles import make_bundle
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

import medcnn
from medcnn.assessment import calibrate, evaluate
from medcnn.detectors import (
    DetectorSpec,
    PadimFit,
    PatchCoreFit,
    coreset,
    detector_of,
    places_for,
)
from medcnn.detectors.cells import top_mean
from medcnn.errors import BundleError, DataError, OutputError, RecipeError
from medcnn.explanation.shown import shown
from medcnn.exporting import export
from medcnn.training.detecting import train_detector

SPEC = DetectorSpec(
    kind="padim",
    grid=(2, 3),
    step=1,
    top=0.5,
    normals=50,
    held_out=20,
    percentile=0.95,
    body="a test",
)


def maps(count, seed=0, shape=(5, 2, 3)):
    return np.random.default_rng(seed).normal(size=(count, *shape)).astype(np.float32)


# ------------------------------------------------------------------ methods


def test_places_are_means_of_their_neighbourhood():
    features = maps(1, shape=(4, 6, 6))[0]
    places = places_for(features)
    assert (places.grid, places.step) == ((6, 6), 1)
    found = places.of(features).reshape(6, 6, 4)
    assert np.allclose(found[2, 3], features[:, 1:4, 2:5].mean(axis=(1, 2)), atol=1e-5)


@pytest.mark.parametrize("shape", [(3, 28, 28), (3, 33, 20), (2, 20, 40, 40)])
def test_large_maps_are_thinned_to_16_places_a_side(shape):
    features = maps(1, shape=shape)[0]
    places = places_for(features)
    assert max(places.grid) <= 16
    assert places.of(features).shape == (places.count, shape[0])


def test_padim_is_the_mahalanobis_distance_at_each_place():
    places = places_for(maps(1)[0])
    fit = PadimFit(5, places.count, np.random.default_rng(0))
    seen = [places.of(one) for one in maps(60)]
    for one in seen:
        fit.add(one)
    found = fit.fitted().unusual(places.of(maps(1, seed=9)[0]))
    stack, query = np.stack(seen), places.of(maps(1, seed=9)[0])
    for at in range(places.count):
        cov = np.cov(stack[:, at].T)
        cov = 0.9 * cov + 0.1 * np.eye(5) * np.trace(cov) / 5
        away = query[at] - stack[:, at].mean(axis=0)
        expected = np.sqrt(away @ np.linalg.inv(cov) @ away / 5)
        assert found[at] == pytest.approx(expected, rel=1e-3)


def test_patchcore_is_the_distance_to_the_nearest_kept_place():
    places = places_for(maps(1)[0])
    fit = PatchCoreFit(5, 30, np.random.default_rng(0))
    for one in maps(30):
        fit.add(places.of(one))
    core = fit.fitted()
    arrays = core.arrays()
    query = places.of(maps(1, seed=9)[0])
    known = NearestNeighbors(n_neighbors=1).fit(arrays["bank"])
    expected, _ = known.kneighbors(query @ arrays["project"])
    assert np.allclose(core.unusual(query), expected[:, 0], atol=1e-3)
    assert len(arrays["bank"]) == 30 * places.count


def test_the_coreset_leaves_no_point_farther_than_twice_the_least_possible():
    rng = np.random.default_rng(1)
    centres = rng.normal(0, 10, (5, 3))
    points = np.concatenate([c + rng.normal(0, 0.1, (40, 3)) for c in centres])
    chosen = coreset(points, 5, first=7)
    assert chosen[0] == 7
    assert {int(n) // 40 for n in chosen} == {0, 1, 2, 3, 4}
    away = np.linalg.norm(points[:, None] - points[chosen][None], axis=2).min(axis=1)
    best = max(
        np.linalg.norm(points[n * 40 : n * 40 + 40] - c, axis=1).max()
        for n, c in enumerate(centres)
    )
    assert away.max() <= 2 * best
    assert sorted(coreset(points[:4], 9)) == [0, 1, 2, 3]


def test_the_score_is_the_mean_of_the_most_unusual_places():
    assert top_mean(np.array([[1.0, 4.0], [2.0, 3.0]]), 0.5) == 3.5
    assert top_mean(np.array([1.0, 9.0]), 0.01) == 9.0


def test_a_detector_comes_back_from_its_arrays_and_refuses_others():
    fit = PadimFit(5, 6, np.random.default_rng(0))
    for one in maps(20):
        fit.add(places_for(one).of(one))
    arrays = fit.fitted().arrays()
    detector = detector_of(SPEC, arrays)
    assert detector.cells(maps(1)[0]).shape == (2, 3)
    with pytest.raises(DataError, match="lack whiten"):
        detector_of(SPEC, {n: a for n, a in arrays.items() if n != "whiten"})
    with pytest.raises(DataError, match="do not fit"):
        detector_of(SPEC, arrays | {"mean": arrays["mean"][:3]})
    with pytest.raises(DataError, match="do not fit"):
        detector_of(SPEC, arrays | {"mean": arrays["mean"] * np.nan})
    with pytest.raises(DataError, match="give 12 places"):
        detector.cells(maps(1, shape=(5, 3, 4))[0])


def test_too_few_normals_have_no_distribution():
    with pytest.raises(DataError, match="too few for a distribution"):
        PadimFit(5, 6, np.random.default_rng(0)).fitted()
    with pytest.raises(DataError, match="no normal image"):
        PatchCoreFit(5, 6, np.random.default_rng(0)).fitted()


# ------------------------------------------------------------------ in use


def write_films(folder, *, normal=110, other=25):
    """Write stripes; those that are not normal have a bright spot. Return a table."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    rows = []
    for n in range(normal + other):
        film = np.sin(np.linspace(0, 12, 64))[:, None] * 40 + 100
        film = film + rng.normal(0, 6, (64, 64)) + rng.uniform(-10, 10)
        if n >= normal:
            i, j = rng.integers(14, 50, 2)
            cv2.circle(film, (int(i), int(j)), 9, 230, -1)
        cv2.imwrite(str(folder / f"{n:03d}.png"), np.clip(film, 0, 255).astype("uint8"))
        split = "val" if n % 4 == 0 or n >= normal else "train"
        row = {"path": f"{n:03d}.png", "abnormal": int(n >= normal), "split": split}
        rows.append(row | {"patient_id": f"p{n}"})
    with (folder / "cases.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder / "cases.csv"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A network, films, and a detector of each kind."""
    root = tmp_path_factory.mktemp("detect")
    body = make_bundle(root / "body", arguments={"width": 8, "depth": 3})
    facts = json.loads((body.path / "bundle.json").read_text())
    facts["preprocessing"]["steps"][1] = {"step": "window", "center": 127, "width": 255}
    (body.path / "bundle.json").write_text(json.dumps(facts))
    table = write_films(root / "films")
    for kind in ("padim", "patchcore"):
        train_detector(
            table, output=root / kind, kind=kind, init=body.path, progress=False
        )
    return root


def _points(facts):
    return facts["labels"]["abnormal"]["operating_points"]


@pytest.mark.parametrize("kind", ["padim", "patchcore"])
def test_it_learns_from_normals_and_finds_what_is_not(world, kind):
    spec = medcnn.open_bundle(world / kind).spec
    assert spec.labels == ("abnormal",)
    assert (spec.detector.normals, spec.detector.held_out) == (82, 28)
    model = medcnn.Model.open(world / kind)
    told = [
        model.predict(medcnn.load(world / "films" / f"{n:03d}.png")).probability
        for n in [*range(0, 110, 4), *range(110, 135)]
    ]
    area = roc_auc_score([0] * 28 + [1] * 25, told)
    assert area > 0.85
    (score,) = spec.evaluation
    assert score.auroc == pytest.approx(area, abs=1e-3)
    flagged = np.mean(np.array(told[:28]) >= spec.operating_points[0].flag)
    assert flagged == pytest.approx(0.05, abs=0.04)


@pytest.mark.parametrize("kind", ["padim", "patchcore"])
def test_the_anomaly_map_lies_on_the_spot_and_bears_its_name(world, kind):
    path = world / "films" / "120.png"
    image = medcnn.load(path)
    heatmap = medcnn.explain(medcnn.Model.open(world / kind), image)
    assert heatmap.method == kind
    bright = image.array[0, :, :, 0] > 200
    assert heatmap.array[..., 0][bright].mean() > 1.5 * heatmap.array.mean()


def test_predict_and_explain_take_a_detector_as_any_model(world, tmp_path, medcnn):
    film = world / "films" / "120.png"
    told = medcnn("predict", film, "--model", world / "padim", "--json")
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["images"][0]["kind"] == "anomaly score"
    told = medcnn("predict", film, "--model", world / "padim")
    assert "anomaly score" in told.stdout
    assert "probability" not in told.stdout
    words = ("explain", film, "--model", world / "padim", "--output", tmp_path / "x")
    told = medcnn(*words)
    assert told.returncode == 0, told.stderr
    assert list((tmp_path / "x").glob("*.png"))
    told = medcnn(*words, "--method", "occlusion")
    assert told.returncode == 1
    assert "is a detector: occlusion explains what labels taught" in told.stderr


def test_explain_shows_a_detectors_map_as_screening_does(world):
    model = medcnn.Model.open(world / "patchcore")
    heatmap = medcnn.explain(model, medcnn.load(world / "films" / "120.png"))
    scale = shown(model, heatmap, None)
    values = model.spec.calibration[0].slope * heatmap.array * heatmap.cells
    flag = np.log(0.95 / 0.05) - model.spec.calibration[0].intercept
    assert np.allclose(scale.levels, np.maximum(values - flag, 0), atol=1e-4)
    assert scale.levels.max() > 0
    assert scale.words.startswith("logit of the anomaly score above a flag: 0 to")


def test_screen_paints_anomalies_and_reports_them(world, tmp_path):
    output = tmp_path / "out"
    cases = list(
        medcnn.screen(world / "films", model=world / "padim", output=output, workers=1)
    )
    flagged = [case for case in cases if case.band == "flag"]
    assert len(flagged) > 12
    assert all((output / case.heatmap).is_file() for case in flagged)
    page = (output / "report.html").read_text()
    assert "padim" in page.lower()
    assert "Anomaly score of <b>abnormal</b>" in page
    assert "share of 28 held-out normal images that look less unusual" in page
    assert "robability of <b>abnormal</b>" not in page
    run = json.loads((output / "run.json").read_text())
    assert run["model"]["number_kind"] == "anomaly score"
    assert "(logit of the anomaly score)" in run["heatmap"]["meaning"]


def test_evaluate_measures_it_on_labelled_images(world, tmp_path, medcnn):
    told = medcnn(
        "evaluate",
        world / "films" / "cases.csv",
        "--model",
        world / "padim",
        "--output",
        tmp_path / "e",
        "--split",
        "val",
    )
    assert told.returncode == 0, told.stderr
    facts = json.loads((tmp_path / "e" / "evaluation.json").read_text())
    assert facts["labels"]["abnormal"]["auroc"]["value"] > 0.85
    assert facts["scores"] == "score"
    assert facts["labels"]["abnormal"]["calibration"] is None
    assert any(p["name"] == "Flag" for p in _points(facts))
    with pytest.raises(DataError, match="has no head to shuffle"):
        evaluate(
            world / "padim", world / "films" / "cases.csv", split="val", trust="full"
        )


def test_a_graph_that_gives_no_score_is_not_exported(world, tmp_path):
    with pytest.raises(DataError, match="its graph alone gives no score"):
        export(world / "padim", form="onnx", output=tmp_path / "x")


def test_labelled_cases_of_a_site_make_probabilities_of_the_scores(world, tmp_path):
    table = world / "films" / "cases.csv"
    fitted = calibrate(world / "padim", table, output=tmp_path / "site", split="val")
    assert fitted.bundle.spec.number_kind == "probability"
    film = medcnn.load(world / "films" / "120.png")
    assert medcnn.Model.open(tmp_path / "site").predict(film).kind == "probability"


def test_the_verb_makes_one_of_a_folder_of_normal_images(world, tmp_path, medcnn):
    films = tmp_path / "normal"
    films.mkdir()
    for n in range(110):
        source = world / "films" / f"{n:03d}.png"
        (films / source.name).write_bytes(source.read_bytes())
    target = tmp_path / "made"
    told = medcnn(
        "train", films, "--output", target, "--detector", "padim",
        "--init", world / "body", "--set", "val_share=0.25",
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    card = (target / "CARD.md").read_text()
    assert "Unknown: the held-out images are all normal" in card
    again = medcnn(
        "train", films, "--output", target, "--detector", "padim",
        "--init", world / "body",
    )  # fmt: skip
    assert again.returncode == 1
    assert "is there already" in again.stderr


def test_what_is_missing_or_wrong_is_said(world, tmp_path):
    table = world / "films" / "cases.csv"
    with pytest.raises(RecipeError, match="needs a pretrained network"):
        train_detector(table, output=tmp_path / "x", kind="padim", progress=False)
    with pytest.raises(ValueError, match=r"percentile is above 0\.5"):
        train_detector(table, output=tmp_path / "x", kind="padim", percentile=0.3)
    with pytest.raises(OutputError, match="is there already"):
        train_detector(table, output=world / "padim", kind="padim", progress=False)
    with pytest.raises(DataError, match="has columns of labels, no class 'good'"):
        train_detector(
            table, output=tmp_path / "x", kind="padim", normal="good", progress=False
        )


def test_a_bundle_that_lacks_its_detector_is_refused(world, tmp_path):
    spec = json.loads((world / "padim" / "bundle.json").read_text())
    bundle = medcnn.open_bundle(world / "padim")
    for name in spec["files"]:
        copy = tmp_path / "copy" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((bundle.path / name).read_bytes())
    del spec["files"]["detector.safetensors"]
    (tmp_path / "copy" / "bundle.json").write_text(json.dumps(spec))
    with pytest.raises(BundleError, match=r"lacks detector\.safetensors"):
        medcnn.Model.open(tmp_path / "copy")
