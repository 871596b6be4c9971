"""The engines agree, and a model says what it means."""

import dataclasses
import shutil
import subprocess
import sys

import numpy as np
import pytest
from bundles import make_bundle

from medcnn.bundle import GRAPH
from medcnn.engines import Outputs, open_engine, runs_in
from medcnn.errors import BundleError, DataError, EngineError, GeometryError
from medcnn.gate import FeatureModel
from medcnn.geometry import Geometry
from medcnn.image import Image
from medcnn.model import Model
from medcnn.results import Band

ENGINES = ("openvino", "onnxruntime", "torch")


def _film(seed=0, **parts):
    pixels = np.random.default_rng(seed).integers(0, 4000, (90, 80)).astype(np.uint16)
    return Image.from_picture(pixels, **parts)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("models") / "tiny")


def test_all_engines_give_the_same_numbers(bundle):
    answers = {}
    for name in ENGINES:
        model = Model.open(bundle.path, engine=name)
        answers[name], _ = model.answer(_film())
    oracle = answers["torch"]
    for name in ENGINES:
        got = answers[name]
        for label, probability in oracle.prediction.probabilities.items():
            assert got.prediction.probabilities[label] == pytest.approx(
                probability, abs=1e-5
            )
        assert np.abs(got.features - oracle.features).max() < 1e-4


def test_all_engines_give_the_same_numbers_for_a_volume(tmp_path):
    bundle = make_bundle(tmp_path / "tiny3", dims=3, shape=(24, 24, 24))
    values = np.random.default_rng(0).normal(0, 1, (1, 30, 28, 12)).astype(np.float32)
    image = Image(values, geometry=Geometry((30, 28, 12), np.diag([1, 1, 3, 1])))
    first, *others = (Model.open(bundle.path, engine=n).predict(image) for n in ENGINES)
    for other in others:
        assert other.probability == pytest.approx(first.probability, abs=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_stream_keeps_its_order_and_its_numbers(bundle, engine):
    model = Model.open(bundle.path, engine=engine)
    tensors = [model.spec.preprocessing.apply(_film(n)).tensor for n in range(9)]
    alone = [next(model.stream([t])).prediction.probability for t in tensors]
    together = [a.prediction.probability for a in model.stream(tensors)]
    assert together == alone
    assert len(set(alone)) == 9


def test_an_abandoned_stream_leaves_the_engine_usable(bundle):
    model = Model.open(bundle.path)
    tensor = model.spec.preprocessing.apply(_film()).tensor
    stream = model.stream([tensor] * 20)
    first = next(stream).prediction
    stream.close()
    assert next(model.stream([tensor])).prediction == first


def test_probability_is_the_sigmoid_of_the_logit(bundle):
    model = Model.open(bundle.path, engine="torch")
    tensor = model.spec.preprocessing.apply(_film()).tensor
    logits = next(model.engine.stream([tensor])).logits
    got = list(model.predict(_film()).probabilities.values())
    assert got == pytest.approx(1 / (1 + np.exp(-logits.astype(float))))


def test_bands_lie_between_the_two_thresholds(bundle):
    model = Model.open(bundle.path)
    point = model.spec.operating_points[0]
    prediction = model.predict(_film())
    for probability, band in (
        (point.flag, Band.FLAG),
        (point.flag - 1e-6, Band.REVIEW),
        (point.review, Band.REVIEW),
        (point.review - 1e-6, Band.NO_FLAG),
    ):
        probabilities = {"abnormal": probability, "mass": 0.0}
        changed = type(prediction)(
            probabilities, prediction.thresholds, prediction.model, "0"
        )
        assert model.band(changed) is band


def test_another_modality_is_out_of_scope_but_has_its_numbers(bundle):
    prediction = Model.open(bundle.path).predict(_film(modality="MR"))
    assert "modality MR" in prediction.out_of_scope
    assert 0 <= prediction.probability <= 1


def test_a_far_feature_vector_is_out_of_scope(bundle, tmp_path):
    model = Model.open(bundle.path)
    answers = [model.answer(_film(n))[0] for n in range(60)]
    pooled = np.stack([a.features.mean(axis=(1, 2)) for a in answers])
    gate = FeatureModel.fit(pooled, directions=4)
    spec_limit = float(gate.distance(pooled).max()) * 1.5
    again = make_bundle(tmp_path / "gated", feature_model=gate)
    rules = again.spec.gate.model_copy(update={"ood_limit": spec_limit})
    gated = Model.open(again.path)
    gated.spec = again.spec.model_copy(update={"gate": rules})
    assert gated.predict(_film(3)).out_of_scope == ""
    stripes = Image.from_picture(np.tile([0, 4000], (90, 40)).astype(np.uint16))
    assert "unlike the training images" in gated.predict(stripes).out_of_scope


def test_nan_is_refused_before_the_network_sees_it(bundle):
    pixels = np.ones((90, 80), np.float32)
    pixels[0, :2] = np.nan
    with pytest.raises(DataError, match="2 of 7200 values are not finite"):
        Model.open(bundle.path).predict(Image.from_picture(pixels))


def test_a_volume_is_refused_by_a_picture_model(bundle):
    words = r"the model takes 2-D images, this is 3-D \(64 x 60 x 8\)"
    with pytest.raises(GeometryError, match=words):
        Model.open(bundle.path).predict(Image(np.zeros((1, 64, 60, 8))))


def test_a_volume_is_refused_in_words_by_the_shipped_model():
    model = Model.open("chest-xray")
    with pytest.raises(GeometryError, match="takes 2-D images, this is 3-D"):
        model.predict(Image(np.zeros((1, 64, 60, 8))))


def test_an_absent_device_is_an_error(bundle):
    with pytest.raises(EngineError, match="cuda:7"):
        open_engine(bundle, engine="torch", device="cuda:7")
    with pytest.raises(EngineError, match="runs on the CPU"):
        open_engine(bundle, engine="openvino", device="cuda")


@pytest.mark.parametrize("name", [*ENGINES, "auto"])
def test_what_will_run_a_model_is_known_before_it_is_opened(bundle, name):
    opened = open_engine(bundle, engine=name)
    assert runs_in(name) == (opened.name, opened.device)
    with pytest.raises(EngineError, match="cuda:7"):
        runs_in("auto", device="cuda:7")
    assert runs_in("auto", precision="int8") == ("openvino int8", "cpu")


def test_an_unknown_engine_is_an_error(bundle):
    with pytest.raises(EngineError, match="'steam' is unknown"):
        open_engine(bundle, engine="steam")


def test_a_gate_for_other_features_than_the_networks_is_refused(tmp_path):
    gate = FeatureModel.fit(np.random.default_rng(0).normal(size=(9, 4)), directions=2)
    other = make_bundle(tmp_path / "tiny", feature_model=gate)
    with pytest.raises(BundleError, match="for 4 features, the network has 16"):
        Model.open(other.path)


def test_preprocessing_that_contradicts_the_network_is_refused(bundle):
    spec = bundle.spec
    narrow = spec.input.model_copy(update={"shape": (16, 32)})
    other = dataclasses.replace(bundle, spec=spec.model_copy(update={"input": narrow}))
    model = Model(other, open_engine(bundle))
    with pytest.raises(BundleError, match=r"prepares images of .* takes"):
        model.predict(Image.from_picture(np.zeros((40, 40), np.uint8)))


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_a_graph_that_is_none_is_one_line(bundle, tmp_path, engine):
    shutil.copytree(bundle.path, tmp_path / "broken")
    (tmp_path / "broken" / GRAPH).write_bytes(b"junk" * 8)
    broken = dataclasses.replace(bundle, path=tmp_path / "broken")
    with pytest.raises(EngineError) as refused:
        open_engine(broken, engine=engine)
    assert "\n" not in str(refused.value)
    assert refused.value.hint


@pytest.mark.slow
def test_ctrl_c_after_two_models_were_closed_is_no_crash(bundle):
    script = (
        "import gc, signal, sys\n"
        "from medcnn.model import Model\n"
        "first = Model.open(sys.argv[1])\n"
        "second = Model.open(sys.argv[1])\n"
        "del first; gc.collect()\n"
        "del second; gc.collect()\n"
        "try: signal.raise_signal(signal.SIGINT)\n"
        "except KeyboardInterrupt: print('stopped')\n"
    )
    command = [sys.executable, "-c", script, str(bundle.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "stopped\n"), done.stderr


@pytest.mark.parametrize("engine", ENGINES)
def test_weights_that_are_no_numbers_never_pass_for_a_low_score(tmp_path, engine):
    bundle = make_bundle(tmp_path / "nan", spread=float("nan"))
    model = Model.open(bundle.path, engine=engine)
    with pytest.raises(EngineError, match="no finite number"):
        model.predict(_film())


def test_a_graph_of_another_shape_is_one_sentence(tmp_path):
    bundle = make_bundle(tmp_path / "one")
    foreign = make_bundle(tmp_path / "two", shape=(16, 48))
    shutil.copy(foreign.path / GRAPH, bundle.path / GRAPH)
    model = Model(bundle, open_engine(bundle, engine="onnxruntime"))
    with pytest.raises(EngineError, match="ONNX Runtime cannot run") as caught:
        model.predict(_film())
    assert "\n" not in caught.value.message


def test_an_answer_of_another_size_is_refused(bundle):
    class Foreign:
        name, device = "foreign", "cpu"

        def stream(self, tensors):
            for _ in tensors:
                yield Outputs(np.zeros(3, np.float32), np.zeros((16, 8, 8), np.float32))

    with pytest.raises(EngineError, match=r"\(3, 16\) labels and features"):
        Model(bundle, Foreign()).predict(_film())
