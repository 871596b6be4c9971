"""Each method against a library that does the same, or a closed form."""

import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam, Occlusion
from monai.visualize import GradCAM, GradCAMpp, OcclusionSensitivity
from torch import nn

import medcnn
from medcnn.explanation.formulas import BY_GRADIENT, class_activation, eigen_cam
from medcnn.explanation.perturbation import grey, occlusion, score_cam

SEEDS = {2: 2, 3: 5}
SHAPES = {2: (20, 28), 3: (10, 14, 12)}


class Small(nn.Module):
    """Two convolutions, and a head that is not linear in the average of its map."""

    def __init__(self, dims, *, features=6, labels=3):
        super().__init__()
        convolution = nn.Conv2d if dims == 2 else nn.Conv3d
        pooling = nn.MaxPool2d if dims == 2 else nn.MaxPool3d
        self.first = nn.Sequential(convolution(1, 4, 3, padding=1), nn.Tanh())
        self.pool = pooling(2)
        self.last = nn.Sequential(convolution(4, features, 3, padding=1), nn.Softplus())
        cells = int(np.prod([n // 2 for n in SHAPES[dims]]))
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(features * cells, 8),
            nn.Tanh(),
            nn.Linear(8, labels),
        )  # fmt: skip

    def forward(self, x):
        return self.head(self.last(self.pool(self.first(x))))


def seeded(dims, kind=Small):
    with torch.random.fork_rng():
        torch.set_rng_state(torch.Generator().manual_seed(SEEDS[dims]).get_state())
        return kind(dims).eval()


def picture(dims):
    return np.random.default_rng(dims).normal(0, 1, (1, *SHAPES[dims])).astype("f4")


def as_seen(heatmap):
    """Return a heatmap as the network's tensor lies, (slices, rows, columns)."""
    return heatmap.array.transpose(2, 1, 0)


def raw(network, dims, method, **options):
    """Return a method's map of label 1 before it is carried back to the image."""
    from medcnn.explanation import relevance
    from medcnn.explanation.methods import method_named
    from medcnn.explanation.subject import ModuleSubject

    subject = ModuleSubject(network)
    subject.number_labels(picture(dims))
    made = relevance.of(
        subject, picture(dims), method_named(method), ["1"], None, options
    )
    return made.values[0], made.layer


def _keep(values):
    return values


@pytest.mark.parametrize("dims", [2, 3])
def test_grad_cam_is_monais_and_captums(dims):
    network, image = seeded(dims), torch.from_numpy(picture(dims))[None]
    got, layer = raw(network, dims, "grad-cam")
    monai = GradCAM(network, target_layers="last", postprocessing=_keep)
    theirs = monai.compute_map(image.requires_grad_(), class_idx=1).detach()[0, 0]
    captum = LayerGradCam(network, network.last)
    other = captum.attribute(image, target=1, relu_attributions=True)[0, 0].detach()
    assert layer == "last"
    assert got.max() > 0
    np.testing.assert_allclose(got, theirs, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(got, other, rtol=1e-4, atol=1e-7)


class Averaging(nn.Module):
    """Two layers behind an average: the gradient is the same in every cell."""

    def __init__(self, dims):
        super().__init__()
        convolution = nn.Conv2d if dims == 2 else nn.Conv3d
        self.last = nn.Sequential(convolution(1, 6, 3, padding=1), nn.Softplus())
        self.head = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))

    def forward(self, x):
        return self.head(self.last(x).flatten(2).mean(2))


@pytest.mark.parametrize("dims", [2, 3])
def test_grad_cam_plus_plus_is_monais_where_all_gradients_are_equal(dims):
    network = seeded(dims, Averaging)
    with torch.no_grad():
        network.head[-1].weight *= 3e3  # or MONAI's 1e-7 outweighs the gradients
        network.head[-1].bias.fill_(0)
    image = torch.from_numpy(picture(dims))[None].requires_grad_()
    got, _ = raw(network, dims, "grad-cam++")
    monai = GradCAMpp(network, target_layers="last", postprocessing=_keep)
    monai.nn_module.class_score = lambda logits, label: logits[:, label].sum()
    network.head[-1].register_forward_hook(lambda _m, _i, out: out - out.detach())
    theirs = monai.compute_map(image, class_idx=1).detach().numpy()[0, 0]
    assert theirs.max() > 0
    np.testing.assert_allclose(
        got / got.max(), theirs / theirs.max(), rtol=1e-2, atol=1e-3
    )


def test_grad_cam_plus_plus_is_equation_19_cell_by_cell():
    rng = np.random.default_rng(0)
    features = rng.uniform(0, 2, (4, 3, 5)).astype(np.float32)
    gradient = rng.normal(0, 1, (4, 3, 5)).astype(np.float32)
    wanted = np.zeros((3, 5))
    for f in range(4):
        weight = 0.0
        for r in range(3):
            for c in range(5):
                g = float(gradient[f, r, c])
                alpha = g**2 / (2 * g**2 + float(features[f].sum()) * g**3)
                weight += alpha * max(g, 0)
        wanted += weight * features[f]
    got = BY_GRADIENT["grad-cam++"](features, gradient)
    np.testing.assert_allclose(got, wanted, rtol=1e-4)


def test_grad_cam_plus_plus_of_one_feature_and_equal_gradients_is_a_closed_form():
    features = np.array([[[1.0, 2.0], [0.0, 5.0]]], np.float32)
    gradient = np.full((1, 2, 2), 0.5, np.float32)
    weight = 4 * 0.5 / (2 + 8 * 0.5)
    got = BY_GRADIENT["grad-cam++"](features, gradient)
    np.testing.assert_allclose(got, weight * features[0], rtol=1e-6)


def test_grad_cam_plus_plus_neither_vanishes_nor_overflows():
    features = np.random.default_rng(0).uniform(0, 1, (3, 8, 8)).astype(np.float32)
    for size in (1e-9, 1e9):
        gradient = np.full_like(features, size)
        got = BY_GRADIENT["grad-cam++"](features, gradient)
        assert np.isfinite(got).all()
        assert got.max() > 0


def test_hirescam_and_layercam_are_their_definitions():
    rng = np.random.default_rng(0)
    features, gradient = rng.normal(0, 1, (2, 5, 3, 4)).astype(np.float32)
    hires, layer = np.zeros((3, 4)), np.zeros((3, 4))
    for f in range(5):
        for r in range(3):
            for c in range(4):
                a, g = float(features[f, r, c]), float(gradient[f, r, c])
                hires[r, c] += g * a
                layer[r, c] += max(g, 0) * a
    got = {name: BY_GRADIENT[name](features, gradient) for name in BY_GRADIENT}
    np.testing.assert_allclose(got["hirescam"], hires.clip(0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(got["layercam"], layer.clip(0), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dims", [2, 3])
def test_with_averaging_and_a_linear_head_four_methods_are_one(dims):
    from lesions import lesion_finder, planted

    case, network = planted(3, dims), lesion_finder(dims)
    maps = {
        name: medcnn.explain(
            network, case.image, label=0, method=name, preprocessing=case.recipe
        )
        for name in ("auto", "cam", "grad-cam", "hirescam")
    }
    assert maps["auto"].method == "cam"
    for name in ("cam", "grad-cam", "hirescam"):
        np.testing.assert_allclose(
            maps[name].array, maps["auto"].array, rtol=1e-4, atol=1e-7
        )


def test_the_cells_of_a_map_add_up_to_the_score():
    rng = np.random.default_rng(0)
    features = rng.uniform(0, 1, (4, 5, 6)).astype(np.float32)
    weights = rng.uniform(0, 1, 4).astype(np.float32)
    score = float(weights @ features.mean(axis=(1, 2)))
    assert class_activation(features, weights).sum() == pytest.approx(score, rel=1e-5)


@pytest.mark.parametrize("shape", [(7, 5, 6), (40, 3, 4, 2)])
def test_eigen_cam_is_the_first_direction_of_a_singular_value_decomposition(shape):
    features = np.random.default_rng(1).uniform(0, 1, shape).astype(np.float32)
    flat = features.reshape(shape[0], -1).T  # places by features, as published
    _, _, directions = np.linalg.svd(flat, full_matrices=False)
    theirs = flat @ directions[0]
    theirs *= np.sign(theirs.sum())
    got = eigen_cam(features).ravel()
    np.testing.assert_allclose(got, theirs.clip(0), rtol=1e-4, atol=1e-5)


def test_eigen_cam_is_hot_where_the_map_is_high_whatever_the_sign_of_a_direction():
    features = np.zeros((3, 6, 6), np.float32)
    features[:, 2, 3] = (1, 5, 2)
    got = eigen_cam(features)
    assert np.unravel_index(got.argmax(), got.shape) == (2, 3)
    assert got[2, 3] == pytest.approx(np.sqrt(30), rel=1e-5)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("overlap", [False, True])
def test_occlusion_is_captums_where_windows_fit(dims, overlap):
    network, image = seeded(dims), picture(dims)
    window = tuple(n // 2 for n in SHAPES[dims])
    stride = tuple(n // 2 for n in window) if overlap else window
    stride = tuple(
        s if (n - w) % s == 0 else w
        for n, w, s in zip(SHAPES[dims], window, stride, strict=True)
    )

    def ask(images):
        for one in images:
            with torch.no_grad():
                yield network(torch.from_numpy(one)[None])[0].numpy()

    got = occlusion(ask, image, window=window, stride=stride)[1]
    theirs = Occlusion(network).attribute(
        torch.from_numpy(image)[None],
        sliding_window_shapes=(1, *window),
        strides=(1, *stride),
        baselines=torch.from_numpy(grey(image).copy())[None],
        target=1,
    )[0, 0]
    np.testing.assert_allclose(got, theirs, rtol=1e-3, atol=1e-5)


@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence")
def test_occlusion_is_monais_with_the_sign_that_makes_hot_high():
    network, image = seeded(2), picture(2)
    window = (5, 7)

    def ask(images):
        for one in images:
            with torch.no_grad():
                yield network(torch.from_numpy(one)[None])[0].numpy()

    got = occlusion(ask, image, window=window, stride=window)
    tensor = torch.from_numpy(image)[None]
    monai = OcclusionSensitivity(
        network, mask_size=window, overlap=0.0, mode="mean_img", activate=False,
        verbose=False,
    )  # fmt: skip
    left = monai(tensor)[0][0].numpy()  # the scores that are left, (labels, ...)
    with torch.no_grad():
        whole = network(tensor)[0].numpy()
    np.testing.assert_allclose(got, whole[:, None, None] - left, rtol=1e-3, atol=1e-5)


def test_occlusion_of_a_linear_score_is_a_closed_form():
    weights = np.random.default_rng(0).normal(0, 1, (1, 6, 9)).astype(np.float32)
    image = np.random.default_rng(1).normal(0, 1, (1, 6, 9)).astype(np.float32)
    got = occlusion(
        lambda images: (np.array([(weights * one).sum()]) for one in images),
        image,
        window=(1, 1),
        stride=(1, 1),
    )
    np.testing.assert_allclose(
        got[0], (weights * (image - image.mean()))[0], rtol=1e-3, atol=1e-4
    )


def test_windows_that_do_not_fit_still_cover_the_border():
    seen = np.zeros((7, 10))

    def ask(images):
        first = next(images)
        yield np.zeros(1)
        for one in images:
            seen[:] += (one != first)[0]
            yield np.zeros(1)

    image = np.arange(70, dtype=np.float32).reshape(1, 7, 10)
    occlusion(ask, image, window=(3, 4), stride=(2, 3))
    assert (seen > 0).all()


def test_score_cam_of_maps_of_the_images_size_is_a_closed_form():
    rng = np.random.default_rng(0)
    image = rng.normal(0, 1, (1, 5, 4)).astype(np.float32)
    features = rng.uniform(0, 3, (3, 5, 4)).astype(np.float32)
    features[2] = 1.5  # sees nothing anywhere
    weights = rng.normal(0, 1, (2, 20)).astype(np.float32)
    got = score_cam(
        lambda images: (weights @ one.ravel() for one in images), image, features
    )
    mean = image.mean()
    masks = [(f - f.min()) / (f.max() - f.min()) for f in features[:2]]
    masks.append(np.zeros((5, 4)))
    scores = np.array([weights @ (mean + (image[0] - mean) * m).ravel() for m in masks])
    shares = torch.softmax(torch.from_numpy(scores), 0).numpy()
    wanted = np.einsum("fl,frc->lrc", shares, features).clip(0)
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dims", [2, 3])
def test_integrated_gradients_add_up_to_the_score_less_that_of_grey(dims):
    from medcnn import gradients

    network, image = seeded(dims), picture(dims)
    with gradients.undisturbed(network):
        score = gradients.Score(network, 1)
        found = gradients.integrated_gradients(score, image, fill=grey(image), steps=64)
        ends = gradients.scores(network, np.stack([image, grey(image)]))
    assert found.sum() == pytest.approx(float(ends[0, 1] - ends[1, 1]), rel=1e-2)
    got, layer = raw(network, dims, "integrated-gradients", steps=64)
    assert layer == ""
    np.testing.assert_allclose(got, found[0].clip(0), rtol=1e-4, atol=1e-7)


def test_smoothgrad_of_a_linear_score_is_its_weights_whatever_the_noise():
    network = nn.Sequential(nn.Flatten(), nn.Linear(30, 2))
    image = np.random.default_rng(0).normal(0, 1, (1, 5, 6)).astype(np.float32)
    heatmap = medcnn.explain(network, image, label=1, method="smoothgrad")
    wanted = np.abs(network[1].weight[1].detach().numpy().reshape(5, 6))
    np.testing.assert_allclose(as_seen(heatmap)[0], wanted, rtol=1e-4)


def test_softmax_classes_are_explained_by_what_tells_them_apart():
    """A head that adds one number to all logits changes neither answer nor map."""
    from lesions import lesion_finder, planted

    case, network = planted(2, 2), lesion_finder(2)
    shifted = lesion_finder(2)
    with torch.no_grad():
        shifted[-1].weight += torch.tensor([0.0, 30.0, 0.0])
    for method in ("cam", "grad-cam", "occlusion", "integrated-gradients"):
        maps = [
            medcnn.explain(
                part,
                case.image,
                label=0,
                method=method,
                preprocessing=case.recipe,
                activation="softmax",
                batch=64,
            ).array
            for part in (network, shifted)
        ]
        np.testing.assert_allclose(*maps, rtol=1e-2, atol=1e-3 * maps[0].max())
