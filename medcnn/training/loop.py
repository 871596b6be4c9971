"""The loop: epoch by epoch, step by step, able to go on after a kill.

Everything random is a function of (seed, epoch, index) or (seed, step), so a run that
was stopped and resumed takes the same steps as one that was not.
"""

import copy
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from lightning import Fabric

from medcnn.dataset import CaseTable
from medcnn.errors import RecipeError
from medcnn.networks import Classifier
from medcnn.planning.recipe import Recipe
from medcnn.training.batches import TrainingImages, full_batches, loader
from medcnn.training.cache import Pixels
from medcnn.training.curves import draw_curves, write_history
from medcnn.training.loss import MaskedCrossEntropy, positive_weights
from medcnn.training.module import ClassifierModule
from medcnn.training.reporter import Reporter, Tick
from medcnn.training.sampler import EpochPlan
from medcnn.training.schedule import average_into, ema_decay
from medcnn.training.scoring import Selection, label_auc, ranking
from medcnn.training.state import (
    Progress,
    read_state,
    restore,
    snapshot,
    write_state,
    write_weights,
)

__all__ = ["BEST", "LAST", "Loop", "Material", "epoch_plan", "fabric_of"]

BEST = "best.safetensors"
LAST = "last.safetensors"
_DRAW_SECONDS = 20.0
FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Material:
    """What a training works on.

    Attributes:
        recipe: The recipe.
        table: All cases, with their splits.
        pixels: Their cache, in the same order.
        work: Folder of the training's state.
        device: "cpu", "cuda:0" or "mps".
        reporter: Where progress goes.
    """

    recipe: Recipe
    table: CaseTable
    pixels: Pixels
    work: Path
    device: str
    reporter: Reporter

    def indices(self, split: str) -> npt.NDArray[np.intp]:
        """Return which cases are in a split."""
        return np.flatnonzero([case.split == split for case in self.table.cases])


class Loop:
    """A training from where it stands to its end.

    Args:
        network: With its starting weights.
        material: What it works on.
    """

    def __init__(self, network: Classifier, material: Material) -> None:
        self.material = material
        recipe, table = material.recipe, material.table
        train, val = material.indices("train"), material.indices("val")
        self.val = val[table.matching(recipe.select.where)[val]]
        truth = table.truth()
        self.selection = Selection(recipe.select, table.take(self.val.tolist()))
        self.val_truth = truth[self.val]
        positive = positive_weights(recipe.loss, table.labels, truth[train])
        softmax = table.activation == "softmax"
        loss = MaskedCrossEntropy(
            recipe.loss, table.labels, softmax=softmax, positive=positive
        )
        self.plan = epoch_plan(recipe, table, train)
        self.images = TrainingImages(material.pixels, truth, recipe)
        if recipe.input.dims == 2:
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.module = ClassifierModule(network, loss, recipe)
        self.fabric = fabric_of(material)
        self.optimiser = self.module.configure_optimizers()
        self.wrapped, self.stepper = self.fabric.setup(self.module, self.optimiser)
        self.average = copy.deepcopy(network) if recipe.optimiser.ema else None
        self.record = Progress()
        self.drawn = 0.0
        self.seen_index: list[int] = []
        self.seen_logits: list[torch.Tensor] = []

    @property
    def steps(self) -> int:
        """Steps of the whole training."""
        return self.plan.steps * self.material.recipe.optimiser.epochs

    def run(self) -> Progress:
        """Train to the end, or go on to it; the best weights are in the work folder."""
        self._resume()
        recipe, record = self.material.recipe.optimiser, self.record
        while not record.finished:
            self._epoch()
            stale = record.epoch - 1 - record.best_epoch
            tired = bool(recipe.patience) and stale >= recipe.patience
            record.finished = tired or record.epoch >= recipe.epochs
            self._save()
        self._draw()
        return record

    def _draw(self) -> None:
        name, rows = self.selection.name, self.record.history
        draw_curves(self.material.work, rows, name=name)
        self.drawn = time.monotonic()

    def _resume(self) -> None:
        found = read_state(self.material.work / LAST)
        if found is None:
            return
        tensors, self.record = found
        seen = restore(tensors, self.module.network, self.average, self.optimiser)
        if "index" in seen:
            self.seen_index = seen["index"].tolist()
            self.seen_logits = [seen["logits"]]
        if not self.record.finished:
            at = f"epoch {self.record.epoch + 1}, step {self.record.step + 1}"
            self.material.reporter.say(f"Going on from {at}.")

    def _save(self) -> None:
        seen = {}
        if self.seen_index:
            seen["index"] = torch.tensor(self.seen_index)
            seen["logits"] = torch.cat([part.cpu() for part in self.seen_logits])
        tensors = snapshot(self.module.network, self.average, self.optimiser, seen)
        write_state(self.material.work / LAST, tensors, self.record)

    def _epoch(self) -> None:
        """Train one epoch, or the rest of it, validate it and keep it if it is best."""
        record, started = self.record, time.monotonic()
        self.module.begin_epoch(record.epoch)
        what = f"epoch {record.epoch + 1}/{self.material.recipe.optimiser.epochs}"
        reporter = self.material.reporter
        with reporter.bar(what, self.plan.steps, done=record.step) as tick:
            self._train_steps(tick)
        score, loss, row = self._validate()
        row |= {"seconds": round(time.monotonic() - started, 1)}
        record.history.append(row)
        better = (score, -loss) > (record.best_score, -record.best_loss)
        if better:
            record.best_score, record.best_loss = score, loss
            record.best_epoch = record.epoch
            best = self.average or self.module.network
            write_weights(self.material.work / BEST, best)
        losses = f"loss {row['train_loss']:.3f}, val {row['val_loss']:.3f}"
        star = " *" if better else ""
        reporter.say(f"{what}: {losses}, val AUC {score:.4f}{star} {row['seconds']} s")
        record.epoch, record.step = record.epoch + 1, 0
        record.losses.clear()
        self.seen_index, self.seen_logits = [], []
        write_history(self.material.work, record.history)
        if time.monotonic() - self.drawn > _DRAW_SECONDS:
            self._draw()

    def _train_steps(self, tick: Tick) -> None:
        record, run = self.record, self.material.recipe.run
        side = _side(self.material.recipe, record.epoch)
        batches = list(self.plan.batches(record.epoch, side=side, start=record.step))
        saved = time.monotonic()
        for items, batch in zip(
            batches,
            loader(self.images, batches, device=self.material.device),
            strict=True,
        ):
            self._step([index for _, _, index in items], batch)
            record.step += 1
            recent = record.losses[-50:]
            best = f", best val {record.best_score:.3f}" if record.history else ""
            tick(1, f"loss {sum(recent) / len(recent):.3f}{best}")
            if time.monotonic() - saved > run.checkpoint_seconds:
                self._save()
                saved = time.monotonic()

    def _step(self, indices: list[int], batch: tuple[torch.Tensor, ...]) -> None:
        recipe = self.material.recipe
        step = self.record.epoch * self.plan.steps + self.record.step
        torch.manual_seed(recipe.seed * 1_000_003 + step)  # noqa: TID251
        self.module.set_rates(self.optimiser, step, self.steps)
        images, truth = (part.to(self.material.device) for part in batch)
        answer = self.wrapped.training_step((images, truth), step)
        self.stepper.zero_grad(set_to_none=True)
        self.fabric.backward(answer["loss"])
        if recipe.optimiser.clip:
            weights = [w for w in self.module.parameters() if w.grad is not None]
            torch.nn.utils.clip_grad_norm_(weights, recipe.optimiser.clip)
        self.stepper.step()
        if self.average is not None:
            decay = ema_decay(recipe.optimiser, step)
            average_into(self.average, self.module.network, decay)
        self.record.losses.append(float(answer["loss"].detach()))
        self.seen_index += indices
        self.seen_logits.append(answer["logits"].float())

    def _validate(self) -> tuple[float, float, dict[str, float | None]]:
        """Return the selection's score, the loss, and this epoch's row of the history.

        Raises:
            RecipeError: If the network's answers are no longer finite numbers.
        """
        recipe, record = self.material.recipe, self.record
        logits = self._predict(self.val)
        if not np.isfinite(logits).all():
            msg = f"training diverged in epoch {record.epoch + 1}: logits not finite"
            raise RecipeError(msg, hint="Lower lr_body and lr_head, or set clip.")
        truth = torch.from_numpy(self.val_truth)
        place = self.material.device
        loss = float(
            self.module.loss(torch.from_numpy(logits).to(place), truth.to(place))
        )
        score = self.selection(logits)
        rates = [group["lr"] for group in self.optimiser.param_groups]
        row: dict[str, float | None] = {
            "epoch": record.epoch + 1,
            "side": _side(recipe, record.epoch),
            "lr_head": rates[-1],
            "train_loss": float(np.mean(record.losses)),
            "val_loss": loss,
            "train_auc": self._train_score(),
            "val_auc": score,
        }
        ranks = ranking(self.material.table.activation, logits)
        for column, label in enumerate(self.material.table.labels):
            area = label_auc(self.val_truth[:, column], ranks[:, column])
            row[f"val_auc:{label}"] = area
        return score, loss, row

    def _train_score(self) -> float | None:
        """Return the same score on the augmented training images, where defined."""
        if self.material.recipe.loss.mixup:
            return None
        table = self.material.table.take(self.seen_index)
        try:
            score = Selection(self.material.recipe.select, table)
        except RecipeError:
            return None
        return score(torch.cat([part.cpu() for part in self.seen_logits]).numpy())

    @torch.no_grad()
    def _predict(self, indices: npt.NDArray[np.intp]) -> FloatArray:
        """Return logits of unvaried images at the full shape, (N, L)."""
        network = self.average or self.module.network
        network.eval()
        parts = []
        size = self.material.recipe.optimiser.batch_size
        for images in full_batches(self.material.pixels, indices, size):
            with self.fabric.autocast():
                logits = self.module.logits(network, images.to(self.material.device))
            parts.append(logits.float().cpu())
        return torch.cat(parts).numpy()


def epoch_plan(
    recipe: Recipe, table: CaseTable, train: npt.NDArray[np.intp]
) -> EpochPlan:
    """Plan the order of the training cases `train`, their indices in the table."""
    name = recipe.sampling.column
    column = table.column(name) if name else ("",) * len(table.cases)
    return EpochPlan.make(
        recipe.sampling,
        [column[index] for index in train],
        train,
        batch_size=recipe.optimiser.batch_size,
        seed=recipe.seed,
    )


def _side(recipe: Recipe, epoch: int) -> int:
    """Return the picture's longest side in an epoch, from 0."""
    for epochs, side in recipe.progressive:
        if epoch < epochs:
            return side
        epoch -= epochs
    return max(recipe.input.shape[-2:])


def fabric_of(material: Material) -> Fabric:
    """Return Lightning's hand on the device that was chosen."""
    kind, _, number = material.device.partition(":")
    wanted = material.recipe.run.precision
    half = wanted == "bf16" or (wanted == "auto" and kind == "cuda")
    return Fabric(
        accelerator="gpu" if kind == "cuda" else kind,
        devices=[int(number or 0)] if kind == "cuda" else 1,
        precision="bf16-mixed" if half else "32-true",
    )
