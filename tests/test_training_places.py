"""Where labels are, taught: carried as the image is, and the map goes there."""

import csv
import math

import cv2
import numpy as np
import pytest
import torch
from lightning import Fabric
from scipy import ndimage

from medcnn.dataset import content_hashes, read_cases
from medcnn.errors import DataError, RecipeError
from medcnn.geometry import Geometry
from medcnn.image import Image
from medcnn.networks import build
from medcnn.planning.recipe import Recipe
from medcnn.planning.sections import Augmentation, Input, Loss
from medcnn.training.augmentation import affine, augment, generator, moved
from medcnn.training.batches import TrainingImages, feed, full_images
from medcnn.training.cache import build_cache
from medcnn.training.fitting import map_sizes
from medcnn.training.loop import Loop
from medcnn.training.loss import MaskedCrossEntropy
from medcnn.training.material import Material
from medcnn.training.places import Places, build_places
from medcnn.training.reporter import Reporter

MUCH = Augmentation(
    rotation_deg=40, translate=0.2, scale=0.3, shear_deg=15, flip=True,
    gamma=0, contrast=0, brightness=0, noise=0,
)  # fmt: skip


def place_loss(maps, cells, **keys):
    labels = tuple("abc"[: maps.shape[1]])
    softmax = keys.pop("softmax", False)
    loss = MaskedCrossEntropy(
        Loss(places=1.0, **keys),
        labels,
        softmax=softmax,
        positive=np.ones(len(labels), np.float32),
    )
    return loss.places(maps, cells)


def test_the_loss_is_the_cross_entropy_of_a_cell_being_inside():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(1, 1, 3, 4)).astype(np.float32)
    inside = np.zeros((1, 1, 3, 4), np.float32)
    inside[0, 0, 1, 1:3] = 1
    shares = np.exp(z) / np.exp(z).sum()
    found = place_loss(torch.from_numpy(z), torch.from_numpy(inside))
    assert found.item() == pytest.approx(-math.log(shares[inside > 0].sum()), rel=1e-5)
    hot = torch.from_numpy(z + 60 * inside)
    assert place_loss(hot, torch.from_numpy(inside)).item() == pytest.approx(0)
    higher = place_loss(torch.from_numpy(z) + 7, torch.from_numpy(inside))
    assert higher.item() == pytest.approx(found.item(), rel=1e-5)


def test_gradients_lead_into_the_place_and_are_finite_far_from_it():
    z = torch.zeros(1, 1, 3, 3)
    z[0, 0, 0, 0] = 500.0
    z.requires_grad_(requires_grad=True)
    inside = torch.zeros(1, 1, 3, 3)
    inside[0, 0, 2, 2], inside[0, 0, 2, 1] = 1, 0.2
    place_loss(z, inside).backward()
    assert z.grad.isfinite().all()
    assert z.grad[0, 0, 0, 0] > 0.9
    assert z.grad[0, 0, 2, 2] < 4 * z.grad[0, 0, 2, 1] < 0
    assert z.grad.sum().item() == pytest.approx(0, abs=1e-5)


def test_an_unknown_place_gives_exactly_no_gradient():
    z = torch.randn(2, 2, 3, 3, requires_grad=True)
    cells = torch.full((2, 2, 3, 3), math.nan)
    assert place_loss(z, cells).item() == 0
    cells[1, 0] = 0
    cells[1, 0, 1, 1] = 1
    place_loss(z, cells).backward()
    assert (z.grad[0] == 0).all()
    assert (z.grad[1, 1] == 0).all()
    assert (z.grad[1, 0] != 0).all()


def test_a_labels_weight_counts_for_its_places_and_parts_add_up():
    z, cells = torch.randn(3, 2, 2, 2), torch.zeros(3, 2, 2, 2)
    cells[:, :, 0, 1] = 1
    cells[2, 1] = math.nan
    first = place_loss(z[:, :1], cells[:, :1])
    second = place_loss(z[:, 1:], cells[:, 1:])
    both = place_loss(z, cells, label_weights={"b": 3.0})
    assert both.item() == pytest.approx((first + 3 * second).item(), rel=1e-5)
    parts = [place_loss(z[at : at + 1], cells[at : at + 1]) for at in range(3)]
    whole = place_loss(z, cells)
    assert sum(parts).item() == pytest.approx(whole.item(), rel=1e-5)


def test_of_classes_what_all_maps_share_does_not_count():
    z, cells = torch.randn(1, 3, 2, 2), torch.full((1, 3, 2, 2), math.nan)
    cells[0, 1] = torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    common = torch.randn(1, 1, 2, 2) * 10
    found = place_loss(z, cells, softmax=True)
    moved_all = place_loss(z + common, cells, softmax=True)
    assert moved_all.item() == pytest.approx(found.item(), rel=1e-4)


def test_mixed_images_have_no_places():
    with pytest.raises(ValueError, match="mixup and places exclude each other"):
        Loss(mixup=0.2, places=0.3)


@pytest.mark.parametrize("shape", [(50, 40), (3, 50, 40)])
def test_places_move_as_their_image_does(shape):
    """Against SciPy, and against the image itself: what is bright stays inside."""
    inside = np.zeros((1, *shape), np.uint8)
    inside[..., 18:30, 8:20] = 255
    for index in range(5):
        turned = moved(inside, MUCH, generator(1, 2, index))
        image = augment(inside, MUCH, generator(1, 2, index))
        np.testing.assert_allclose(turned, image, atol=2 / 255)
        draws = generator(1, 2, index).uniform(-1, 1, 16)
        matrix = np.vstack([affine(MUCH, draws, shape[-2:]), [0, 0, 1]])
        back = np.linalg.inv(matrix)[:2][::-1, [1, 0, 2]]  # rows before columns
        plane = inside.reshape(-1, 50, 40)[-1] / 255
        other = ndimage.affine_transform(plane, back[:, :2], back[:, 2], order=1)
        last = turned.reshape(-1, 50, 40)[-1]
        assert np.abs(last - other).mean() < 2e-3
        assert np.abs(last - plane).mean() > 0.02


def test_an_image_that_is_not_varied_keeps_its_places():
    inside = np.random.default_rng(0).integers(0, 2, (1, 9, 9), np.uint8) * 255
    still = MUCH.model_copy(update={"share": 0.0})
    np.testing.assert_array_equal(
        moved(inside, still, generator(0, 0, 0)), inside / 255
    )


SHAPE, GRID = (32, 32), (4, 4)
torch.set_num_threads(1)


def one_place(**recipe):
    shares = np.zeros((1, *SHAPE), np.uint8)
    shares[0, 4:12, 20:28] = 255  # a quarter of each of four cells
    settings = {"input": {"shape": SHAPE}, "augmentation": MUCH.model_dump()}
    rows = np.array([[-1, 0], [-1, -1]])
    return Places(shares, rows), Recipe.model_validate(settings | recipe)


def test_cells_hold_the_area_of_a_place_relative_to_the_fullest():
    places, recipe = one_place(augmentation={"share": 0.0})
    places.shares[0, 8:12, 20:28] = 0  # now a quarter of two cells
    cells = places.cells(0, epoch=0, shape=SHAPE, grid=GRID, recipe=recipe)
    assert np.isnan(cells[0]).all()
    expected = np.zeros(GRID)
    expected[0, 2:] = 1
    np.testing.assert_allclose(cells[1], expected, atol=1e-6)
    assert np.isnan(
        places.cells(1, epoch=0, shape=SHAPE, grid=GRID, recipe=recipe)
    ).all()


def test_a_place_that_leaves_the_picture_is_not_known():
    places, recipe = one_place()
    places.shares[:] = 0
    places.shares[0, :2, :2] = 255
    found = [
        places.cells(0, epoch=epoch, shape=SHAPE, grid=GRID, recipe=recipe)[1]
        for epoch in range(20)
    ]
    gone = [bool(np.isnan(cells).all()) for cells in found]
    assert any(gone)
    assert not all(gone)
    kept = [cells for cells in found if not np.isnan(cells).any()]
    assert all(cells.max() == pytest.approx(1) for cells in kept)


def test_a_place_of_one_pixel_is_not_lost():
    places, recipe = one_place(augmentation={"share": 0.0})
    places.shares[:] = 0
    places.shares[0, 9, 30] = 255
    for grid, cell in (((4, 4), (1, 3)), ((1, 1), (0, 0))):
        cells = places.cells(0, epoch=0, shape=SHAPE, grid=grid, recipe=recipe)[1]
        assert np.argwhere(cells == 1).tolist() == [list(cell)]


@pytest.mark.parametrize("augment_where", ["workers", "device"])
def test_cells_lie_where_the_varied_image_shows_the_place(augment_where):
    places, recipe = one_place(run={"augment": augment_where, "workers": 0})
    pixels = np.repeat(places.shares[:, None], 2, axis=0)
    truth = np.ones((2, 2), np.float32)
    images = TrainingImages(
        pixels, truth, recipe, places=places, grids={32: GRID, 16: (2, 2)}
    )
    for epoch, side, grid in ((0, 32, GRID), (1, 32, GRID), (2, 16, (2, 2))):
        ((pictures, _, cells),) = feed(
            images, [[(epoch, side, 0), (epoch, side, 1)]], device="cpu"
        )
        assert cells.shape == (2, 2, *grid)
        assert cells[1].isnan().all()
        seen = torch.nn.functional.adaptive_avg_pool2d(pictures[:1], grid)[0, 0]
        torch.testing.assert_close(cells[0, 1], seen / seen.max(), atol=0.03, rtol=0)


def boxed(tmp_path, cells, **columns):
    """A table of pictures, each positive, with these boxes."""
    rows = ["path,split,ill,bbox:ill"]
    for number, cell in enumerate(cells):
        picture = np.random.default_rng(number).integers(0, 256, (30, 60), np.uint8)
        cv2.imwrite(str(tmp_path / f"{number}.png"), picture)
        rows.append(f'{number}.png,train,{columns.get("truth", 1)},"{cell}"')
    rows.append("0.png,val,0,")
    rows[-1] = rows[-1].replace("0.png", "v.png")
    cv2.imwrite(str(tmp_path / "v.png"), np.full((30, 60), 9, np.uint8))
    (tmp_path / "t.csv").write_text("\n".join(rows))
    return read_cases(tmp_path / "t.csv")


def built(table, tmp_path, **spec):
    recipe = Recipe.model_validate({"input": spec, "loss": {"places": 0.5}})
    return build_places(table, content_hashes(table), recipe, tmp_path / "cache")


def test_places_are_carried_through_the_preprocessing_and_cached(tmp_path):
    cells = ["0 0 0.5 1", "none", "", "0.5 0.5 1 1; 0 0 0.1 0.2"]
    table = boxed(tmp_path, cells)
    stretched = built(table, tmp_path, shape=(8, 8), fit="stretch")
    assert stretched.rows.ravel().tolist() == [0, -1, -1, 1, -1]
    expected = np.zeros((8, 8))
    expected[:, :4] = 255
    np.testing.assert_array_equal(stretched.shares[0], expected)
    boxed_in = built(table, tmp_path, shape=(8, 8), fit="letterbox")
    expected = np.zeros((8, 8))
    expected[2:6, :4] = 255  # twice as wide as high: a margin above and below
    np.testing.assert_array_equal(boxed_in.shares[0], expected)
    files = sorted((tmp_path / "cache").iterdir())
    times = [file.stat().st_mtime_ns for file in files]
    built(table, tmp_path, shape=(8, 8), fit="stretch")
    assert [
        f.stat().st_mtime_ns for f in sorted((tmp_path / "cache").iterdir())
    ] == times
    assert len(files) == 2


def test_a_box_over_all_of_a_letterboxed_picture_leaves_out_the_margin(tmp_path):
    found = built(boxed(tmp_path, ["0 0 1 1"]), tmp_path, shape=(8, 8))
    assert found.shares[0].astype(int).sum(1).tolist() == [0, 0, *[8 * 255] * 4, 0, 0]


def test_places_follow_hung_films_and_turned_volumes():
    film = Image(
        np.zeros((1, 6, 4, 1), np.uint8), facts={"patient_orientation": "R\\F"}
    )
    inside = np.zeros((6, 4, 1), bool)
    inside[0, 3] = True
    steps = Input(shape=(4, 6), fit="stretch", hang=True).unit_range()
    hung = steps.carry(inside, film)
    assert np.argwhere(hung).tolist() == [[3, 5]]
    marked = Image(inside[None].astype(np.uint8), facts=film.facts)
    np.testing.assert_array_equal(hung, steps.apply(marked).tensor[0])

    rng = np.random.default_rng(0)
    affine = np.diag([-1.0, 2.0, -3.0, 1.0])[:, [2, 0, 1, 3]]
    shape = (5, 6, 7)
    inside = rng.random(shape) > 0.5
    volume = Image(inside[None].astype(np.float32), Geometry(shape, affine))
    steps = Input(shape=(5, 6, 7), fit="stretch", orient="LPS", percentiles=(0, 100))
    turned = steps.unit_range().carry(inside, volume)
    np.testing.assert_allclose(turned, steps.unit_range().apply(volume).tensor[0])


def test_places_that_do_not_fit_or_teach_nothing_are_refused(tmp_path):
    table = boxed(tmp_path, ["0 0 0 1 1 1", "0 0 1 1"])
    with pytest.raises(DataError, match=r"places of 1 images .*0\.png: a box of 6"):
        built(table, tmp_path, shape=(8, 8))
    assert list((tmp_path / "cache").iterdir()) == []
    for cells, truth in ((["", "none"], 1), (["0 0 1 1", ""], 0)):
        table = boxed(tmp_path, cells, truth=truth)
        with pytest.raises(RecipeError, match="no positive image of train") as caught:
            built(table, tmp_path, shape=(8, 8))
        assert "bbox:<label>" in caught.value.hint


def write_squares(folder, *, count=160):
    """Pictures of noise; positives hold a striped square, and a dot in a corner.

    The dot is the easier of the two to see, as a marker on films of the ill is.
    """
    rng = np.random.default_rng(0)
    rows = []
    for number in range(count):
        ill = number % 2
        picture = rng.normal(100, 12, (32, 32))
        x, y = rng.integers(6, 24, 2)
        if ill:
            picture[y : y + 8 : 2, x : x + 8] += 60
            picture[1:4, 1:4] += 90
        box = f"{x / 32} {y / 32} {(x + 8) / 32} {(y + 8) / 32}" if ill else ""
        cv2.imwrite(str(folder / f"{number}.png"), picture.clip(0, 255).astype("uint8"))
        split = "val" if number % 5 == 4 else "train"
        place = box if number % 3 or split == "val" else ""
        rows.append((f"{number}.png", split, ill, place))
    with (folder / "squares.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "split", "ill", "bbox:ill"), *rows])
    return read_cases(folder / "squares.csv")


def squares_recipe(places):
    return Recipe.model_validate(
        {
            "base": "defaults",
            "seed": 3,
            "progressive": [[1, 24]],
            "network": {"name": "basic_cnn", "arguments": {"width": 8, "depth": 2}},
            "input": {"shape": [32, 32], "fit": "stretch"},
            "optimiser": {
                "epochs": 8,
                "batch_size": 16,
                "lr_head": 1e-2,
                "lr_body": 1e-2,
                "ema": 0.9,
            },
            "augmentation": {"noise": 0.0},
            "loss": {"places": places},
        }
    )


def learnt(table, work, recipe, *, stop=None):
    """Train; returns the loop, which `stop` may break off after so many steps."""
    hashes = content_hashes(table)
    work.mkdir(exist_ok=True)
    pixels, _ = build_cache(table, hashes, recipe.input, work / "cache")
    places = None
    if recipe.loss.places:
        places = build_places(table, hashes, recipe, work / "cache")
    fabric = Fabric(accelerator="cpu", devices=1)
    reporter = Reporter(visible=False)
    torch.manual_seed(0)  # noqa: TID251 - a new network for a test
    network = build(
        "basic_cnn", dims=2, in_channels=1, labels=1, shape=(32, 32), width=8, depth=2
    )
    given = Material(recipe, table, pixels, work, fabric, reporter, places)
    loop = Loop(network, given)
    if stop is not None:
        step = loop._step

        def few(*args):
            if loop.record.epoch * loop.plan.steps + loop.record.step == stop:
                loop._save()
                raise KeyboardInterrupt
            step(*args)

        loop._step = few
        with pytest.raises(KeyboardInterrupt):
            loop.run()
        return learnt(table, work, recipe)
    loop.run()
    return loop


def peaks_inside(loop, table):
    """Return which of val's positives have their hottest cell in the box."""
    chosen = [
        n for n, c in enumerate(table.cases) if c.split == "val" and c.truth["ill"]
    ]
    pictures = full_images(loop.material.pixels, np.array(chosen))
    loop.module.network.eval()
    with torch.no_grad():
        _, maps = loop.module.with_maps(pictures)
    found = []
    for index, cells in zip(chosen, maps[:, 0], strict=True):
        (box,) = table.cases[index].places["ill"].boxes
        row, column = np.unravel_index(int(cells.argmax()), cells.shape)
        size = np.array(cells.shape)[::-1]
        low, high = (
            np.array([column, row]) / size,
            np.array([column + 1, row + 1]) / size,
        )
        found.append(bool((high > box.low).all() and (low < box.high).all()))
    return np.mean(found)


@pytest.mark.slow
def test_the_map_moves_into_the_box_and_what_is_known_stays(tmp_path):
    table = write_squares(tmp_path)
    plain = learnt(table, tmp_path / "plain", squares_recipe(0.0))
    taught = learnt(table, tmp_path / "taught", squares_recipe(1.0))
    without, with_places = (peaks_inside(loop, table) for loop in (plain, taught))
    assert without < 0.3
    assert with_places > 0.9
    assert taught.record.best_score > 0.99


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights_resumed_or_not(tmp_path):
    table = write_squares(tmp_path, count=60)
    recipe = squares_recipe(0.5)
    recipe = recipe.model_copy(
        update={"optimiser": recipe.optimiser.model_copy(update={"epochs": 2})}
    )
    once = learnt(table, tmp_path / "once", recipe)
    again = learnt(table, tmp_path / "again", recipe, stop=4)
    workers = recipe.run.model_copy(update={"augment": "workers"})
    third = recipe.model_copy(update={"run": workers})
    third = learnt(table, tmp_path / "third", third)
    for other in (again, third):
        for a, b in zip(
            once.module.network.parameters(),
            other.module.network.parameters(),
            strict=True,
        ):
            assert torch.equal(a, b)


def test_a_network_without_a_map_cannot_be_taught_places():
    network = build("mlp", dims=2, in_channels=1, labels=1, shape=(32, 32))
    recipe = Recipe.model_validate(
        {"network": {"name": "mlp"}, "input": {"shape": SHAPE}}
    )
    with pytest.raises(RecipeError, match="mlp has none"):
        map_sizes(network, recipe)
    small = build("basic_cnn", dims=2, in_channels=1, labels=1, width=8, depth=2)
    sizes = map_sizes(small, squares_recipe(1.0))
    assert sizes == {24: (12, 12), 32: (16, 16)}
