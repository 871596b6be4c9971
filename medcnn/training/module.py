"""The Lightning module: a network, its loss, and how fast its weights learn."""

from typing import Any

import torch
from lightning import LightningModule
from torch import nn

from medcnn.networks import Classifier
from medcnn.planning.recipe import Recipe
from medcnn.training.batches import Batch
from medcnn.training.loss import MaskedCrossEntropy
from medcnn.training.schedule import rate_factor

__all__ = ["ClassifierModule"]

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class ClassifierModule(LightningModule):
    """A classifier in training.

    Args:
        network: From `medcnn.networks.build`.
        loss: What is minimised.
        recipe: The recipe.
        channels_last: Whether channels lie innermost in memory: faster on a GPU and in
            bfloat16, slower in 32 bits on a CPU.
    """

    def __init__(
        self,
        network: Classifier,
        loss: MaskedCrossEntropy,
        recipe: Recipe,
        *,
        channels_last: bool = False,
    ) -> None:
        super().__init__()
        innermost = (torch.channels_last, torch.channels_last_3d)
        two = recipe.input.dims == 2
        self.layout = torch.contiguous_format
        if channels_last:
            self.layout = innermost[0 if two else 1]
            network.to(memory_format=self.layout)  # type: ignore[call-overload]
        self.network = network
        self.loss = loss
        self.recipe = recipe

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits (B, L) of images in 0..1, (B, C, ...)."""
        return self.logits(self.network, images)

    def logits(self, network: nn.Module, images: torch.Tensor) -> torch.Tensor:
        """Return the logits of another network, such as the averaged one."""
        spec = self.recipe.input
        images = (images - spec.mean) / spec.std
        images = images.contiguous(memory_format=self.layout)
        answer: torch.Tensor = network(images)
        return answer

    def with_maps(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits (B, L), and what each cell adds to each of them, (B, L, ...).

        The mean of a label's cells is its logit, less the head's bias and before
        dropout: the cells are its class activation map.
        """
        spec, network = self.recipe.input, self.network
        images = (images - spec.mean) / spec.std
        logits, features = network.with_features(
            images.contiguous(memory_format=self.layout)
        )
        with torch.autocast(features.device.type, enabled=False):
            flat = features.float().flatten(2)  # (B, F, cells)
            maps = torch.einsum("lf,bfc->blc", network.head.weight.float(), flat)
        return logits, maps.unflatten(2, features.shape[2:])

    def mixed(self, batch: Batch) -> Batch:
        """Return the batch with its cases mixed, if the recipe says so."""
        alpha = self.recipe.loss.mixup
        if not alpha:
            return batch
        images, truth = batch
        return _mix(images, truth, alpha)

    def piece(
        self, batch: Batch, weight: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return a part's share of the loss of a whole batch, and its logits.

        Args:
            batch: The part, mixed already.
            weight: What the loss says of the whole batch.
        """
        images, truth, *cells = batch
        if cells:
            logits, maps = self.with_maps(images)
            total = self.loss.total(logits, truth) + self.loss.places(maps, cells[0])
        else:
            logits = self(images)
            total = self.loss.total(logits, truth)
        return total / weight, logits.detach()

    def training_step(
        self, batch: Batch, batch_idx: int = 0
    ) -> dict[str, torch.Tensor]:
        """Return the loss and the logits of one batch."""
        del batch_idx
        batch = self.mixed(batch)
        loss, logits = self.piece(batch, self.loss.weight(batch[1]))
        return {"loss": loss, "logits": logits}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return AdamW with a group for each stage, and one for the head.

        Each group's `top` is its highest learning rate. Biases and normalisations
        (one axis) are not decayed.
        """
        recipe = self.recipe.optimiser
        stages = self.network.stages()
        groups: list[dict[str, Any]] = []
        for depth, stage in enumerate(reversed(stages)):
            top = recipe.lr_body * recipe.stage_decay**depth
            groups += _groups(stage, top, recipe.weight_decay)
        head = list(self.network.head.parameters())
        groups += _groups(head, recipe.lr_head, recipe.weight_decay)
        return torch.optim.AdamW(groups, betas=(0.9, recipe.beta2), fused=True)

    def set_rates(
        self, optimiser: torch.optim.Optimizer, step: int, steps: int
    ) -> None:
        """Give every group its learning rate at a step of the whole training."""
        factor = rate_factor(self.recipe.optimiser, step, steps)
        for group in optimiser.param_groups:
            group["lr"] = group["top"] * factor

    def begin_epoch(self, epoch: int) -> None:
        """Freeze and thaw for an epoch, from 0, and put the network in training mode.

        Stages that do not learn keep their running statistics.
        """
        recipe = self.recipe.optimiser
        stages = self.network.stages()
        held = len(stages) if epoch < recipe.frozen_epochs else recipe.freeze_until
        for number, stage in enumerate(stages):
            for weight in stage:
                weight.requires_grad_(number >= held)
        self.train()
        for part in self.network.modules():
            if isinstance(part, _NORMS):
                fixed = all(not weight.requires_grad for weight in part.parameters())
                part.train(not (fixed or recipe.freeze_norm))


def _groups(
    weights: list[nn.Parameter], top: float, decay: float
) -> list[dict[str, Any]]:
    """Split weights into those that are decayed and those that are not."""
    wide = [weight for weight in weights if weight.ndim > 1]
    thin = [weight for weight in weights if weight.ndim <= 1]
    parts = ((wide, decay), (thin, 0.0))
    return [
        {"params": part, "top": top, "lr": top, "weight_decay": share}
        for part, share in parts
        if part
    ]


def _mix(images: torch.Tensor, truth: torch.Tensor, alpha: float) -> Batch:
    """Mix each case with another of its batch; unknown with anything is unknown.

    References:
        [1] Zhang et al., mixup: beyond empirical risk minimization, ICLR 2018.
    """
    share = torch.distributions.Beta(alpha, alpha).sample().to(images.device)
    other = torch.randperm(len(images)).to(images.device)
    mixed = share * images + (1 - share) * images[other]
    return mixed, share * truth + (1 - share) * truth[other]
