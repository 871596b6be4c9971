"""The loop: epoch by epoch, step by step, able to go on after a kill.

Everything random is a function of (seed, epoch, index) or (seed, step), so a run that
was stopped and resumed takes the same steps as one that was not.
"""

import copy
import time

import numpy as np
import numpy.typing as npt
import torch

from medcnn.errors import RecipeError
from medcnn.networks import Classifier
from medcnn.training.batches import TrainingImages, feed, full_images
from medcnn.training.curves import draw_curves, write_history
from medcnn.training.devices import favours_channels_last
from medcnn.training.events import append_events
from medcnn.training.fitting import map_sizes
from medcnn.training.loss import MaskedCrossEntropy, positive_weights
from medcnn.training.material import Material, epoch_plan, side_of
from medcnn.training.module import ClassifierModule
from medcnn.training.reporter import Tick
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
from medcnn.training.stepper import Stepper, predict

__all__ = ["BEST", "LAST", "Loop"]

BEST = "best.safetensors"
LAST = "last.safetensors"
_DRAW_SECONDS = 20.0
FloatArray = npt.NDArray[np.float32]


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
        softmax = table.activation == "softmax"
        positive = positive_weights(
            recipe.loss, table.labels, truth[train], softmax=softmax
        )
        loss = MaskedCrossEntropy(
            recipe.loss, table.labels, softmax=softmax, positive=positive
        )
        self.plan = epoch_plan(recipe, table, train)
        grids = {} if material.places is None else map_sizes(network, recipe)
        self.images = TrainingImages(
            material.pixels, truth, recipe, places=material.places, grids=grids
        )
        self.fabric = material.fabric
        self.module = ClassifierModule(
            network, loss, recipe, channels_last=favours_channels_last(self.fabric)
        )
        self.module.begin_epoch(0)
        if recipe.run.compile:
            (network if material.places is None else network.body).compile()
        say = material.reporter.say
        self.stepper = Stepper(self.module, self.fabric, table, say)
        self.optimiser = self.stepper.optimiser
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

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and tells."""
        return bool(self.fabric.is_global_zero)

    def _draw(self) -> None:
        if not self.first:
            return
        name, rows = self.selection.name, self.record.history
        draw_curves(self.material.work, rows, name=name)
        self.drawn = time.monotonic()

    def _resume(self) -> None:
        found = read_state(self.material.work / LAST)
        if found is None:
            return
        tensors, self.record = found
        self.stepper.most = self.record.most
        seen = restore(tensors, self.module.network, self.average, self.optimiser)
        if "index" in seen:
            self.seen_index = seen["index"].tolist()
            self.seen_logits = [seen["logits"]]
        if not self.record.finished:
            at = f"epoch {self.record.epoch + 1}, step {self.record.step + 1}"
            self.material.reporter.say(f"Going on from {at}.")

    def _save(self) -> None:
        self._settle()
        self.record.most = self.stepper.most
        if not self.first:
            return
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
        self._settle()
        score, loss, row = self._validate()
        row |= {"seconds": round(time.monotonic() - started, 1)}
        record.history.append(row)
        better = (score, -loss) > (record.best_score, -record.best_loss)
        better |= self.material.recipe.select.epoch == "last"
        if better:
            record.best_score, record.best_loss = score, loss
            record.best_epoch = record.epoch
        losses = f"loss {row['train_loss']:.3f}, val {row['val_loss']:.3f}"
        star = " *" if better else ""
        reporter.say(f"{what}: {losses}, val AUC {score:.4f}{star} {row['seconds']} s")
        record.epoch, record.step = record.epoch + 1, 0
        record.losses.clear()
        self.seen_index, self.seen_logits = [], []
        if self.first:
            self._write(row, better=better)

    def _write(self, row: dict[str, float | None], *, better: bool) -> None:
        """Write what an epoch leaves behind."""
        work, history = self.material.work, self.record.history
        if better:
            write_weights(work / BEST, self.average or self.module.network)
        write_history(work, history)
        append_events(work, row)
        if time.monotonic() - self.drawn > _DRAW_SECONDS:
            self._draw()

    def _train_steps(self, tick: Tick) -> None:
        record, run = self.record, self.material.recipe.run
        rank, world = self.fabric.global_rank, self.fabric.world_size
        side = side_of(self.material.recipe, record.epoch)
        whole = self.plan.batches(record.epoch, side=side, start=record.step)
        batches = [items[rank::world] for items in whole]
        saved = time.monotonic()
        fed = feed(self.images, batches, device=self.material.device)
        for items, batch in zip(batches, fed, strict=True):
            self._step([index for _, _, index in items], batch)
            record.step += 1
            recent = record.losses[-50:] or [0.0]
            best = f", best val {record.best_score:.3f}" if record.history else ""
            tick(1, f"loss {sum(recent) / len(recent):.3f}{best}")
            if self.first and time.monotonic() - saved > run.checkpoint_seconds:
                self._save()
                saved = time.monotonic()

    def _step(self, indices: list[int], batch: tuple[torch.Tensor, ...]) -> None:
        recipe, epoch = self.material.recipe, self.record.epoch
        step = epoch * self.plan.steps + self.record.step
        self.module.set_rates(self.optimiser, step, self.steps)
        seed = recipe.seed * 1_000_003 + step + 7_919 * self.fabric.global_rank
        where = f"epoch {epoch + 1}, step {self.record.step + 1}"
        logits = self.stepper.step(batch, indices, seed=seed, where=where)
        self._settle(leave=1)
        if self.average is not None:
            decay = ema_decay(recipe.optimiser, step)
            average_into(self.average, self.module.network, decay)
        self.seen_index += indices
        self.seen_logits.append(logits.float())

    def _settle(self, *, leave: int = 0) -> None:
        """Take note of losses, all but the last so many."""
        self.record.losses += self.stepper.settle(leave=leave)

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
            "side": side_of(recipe, record.epoch),
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

        def ask(chosen: npt.NDArray[np.intp]) -> torch.Tensor:
            images = full_images(self.material.pixels, chosen)
            with self.fabric.autocast():
                return self.module.logits(network, images.to(self.material.device))

        size = self.stepper.most or self.material.recipe.optimiser.batch_size
        return predict(ask, indices, size=size, fabric=self.fabric)
