"""One step of a training: memory that does not suffice, losses that are no numbers.

Where a batch does not fit into memory, it goes through the network in parts whose
gradients add up to the whole's: the effective batch stays. Batch normalisation then
sees parts, too.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from lightning import Fabric

from medcnn.dataset import CaseTable
from medcnn.errors import RecipeError
from medcnn.training.batches import Batch
from medcnn.training.module import ClassifierModule

__all__ = ["Stepper", "is_out_of_memory", "predict"]

_NAMED = 8
_Step = tuple[str, Sequence[int], torch.Tensor, torch.Tensor]
_WORDS = ("can't allocate memory", "not enough memory", "out of memory")


def is_out_of_memory(error: Exception) -> bool:
    """Say whether an error of torch means that memory does not suffice."""
    words = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or any(w in words for w in _WORDS)


class Stepper:
    """Takes steps, whole or in parts, and watches the loss.

    The loss of a step is looked at while the next one runs, so that a GPU never waits
    for Python.

    Args:
        module: What learns.
        fabric: Lightning's hand on the device.
        table: All cases, to name those of a batch.
        say: Told in words when a batch is cut.

    Attributes:
        most: Cases that go through the network at once; 0 means all of a batch.
        optimiser: The optimiser, as it came from the module.
    """

    def __init__(
        self,
        module: ClassifierModule,
        fabric: Fabric,
        table: CaseTable,
        say: Callable[[str], None],
    ) -> None:
        self.optimiser = module.configure_optimizers()
        self._wrapped, self._stepper = fabric.setup(module, self.optimiser)
        self._wrapped.mark_forward_method("piece")
        self._module, self._fabric, self._table = module, fabric, table
        self._say = say
        self.most = 0
        self._pending: deque[_Step] = deque()

    def step(
        self, batch: Batch, indices: Sequence[int], *, seed: int, where: str
    ) -> torch.Tensor:
        """Move the weights by one batch.

        Args:
            batch: Images and truths on the device.
            indices: Which cases of the table they are.
            seed: Of what is drawn in the network.
            where: "epoch 3, step 5", for errors.

        Returns:
            Logits, (B, L).

        Raises:
            RecipeError: If not even one case fits into memory.
            RuntimeError: If torch fails for another reason.
        """
        while True:
            torch.manual_seed(seed)  # noqa: TID251
            try:
                loss, logits = self._backward(batch)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                self._cut(len(indices))
            else:
                break
        self._pending.append((where, indices, loss, self._clip()))
        self._stepper.step()
        return logits

    def settle(self, *, leave: int = 0) -> list[float]:
        """Return the losses of the steps that were not looked at before.

        Args:
            leave: So many of the last steps are left for the next time.

        Raises:
            RecipeError: If a loss or a gradient is not a finite number.
        """
        found = []
        while len(self._pending) > leave:
            where, indices, loss, norm = self._pending.popleft()
            value, length = float(loss), float(norm)
            if not (np.isfinite(value) and np.isfinite(length)):
                what = f"gradient {length}" if np.isfinite(value) else f"loss {value}"
                names = [str(self._table.cases[index].path) for index in indices]
                batch = ", ".join(names[:_NAMED])
                if len(names) > _NAMED:
                    batch += f" and {len(names) - _NAMED} more"
                msg = f"training diverged in {where}: {what}; the batch was {batch}"
                hint = "Look at these images; else lower lr_body and lr_head, set clip."
                raise RecipeError(msg, hint=hint)
            found.append(value)
        return found

    def _backward(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Gather the gradients of a batch; returns its loss and logits."""
        batch = self._module.mixed(batch)
        fabric, world = self._fabric, self._fabric.world_size
        whole = self._module.loss.weight(batch[1])
        if world > 1:  # the processes' mean gradient is to be that of all cases
            total: Any = fabric.all_reduce(whole, reduce_op="sum")
            whole = total / world
        self._stepper.zero_grad(set_to_none=True)
        parts = list(_parts(len(batch[0]), self.most))
        losses, logits = [], []
        for number, part in enumerate(parts):
            last = number == len(parts) - 1
            with fabric.no_backward_sync(self._wrapped, enabled=not last):
                with fabric.autocast():  # for one process Fabric leaves it out
                    some = tuple(each[part] for each in batch)
                    loss, told = self._wrapped.piece(some, whole)
                fabric.backward(loss)
            losses.append(loss.detach())
            logits.append(told)
        return torch.stack(losses).sum(), torch.cat(logits)

    def _clip(self) -> torch.Tensor:
        """Shorten the gradient to the recipe's length; returns what it was."""
        longest = self._module.recipe.optimiser.clip
        if not longest:
            return torch.zeros(())
        weights = [w for w in self._module.parameters() if w.grad is not None]
        return torch.nn.utils.clip_grad_norm_(weights, longest)

    def _cut(self, size: int) -> None:
        """Halve what goes through the network at once.

        Raises:
            RecipeError: If it is one case already, or other processes take part.
        """
        self._stepper.zero_grad(set_to_none=True)
        had = min(self.most or size, size)
        if had == 1 or self._fabric.world_size > 1:
            msg = f"memory does not suffice for {had} images at once"
            hint = "Lower optimiser.batch_size or input.shape, or take more devices."
            raise RecipeError(msg, hint=hint)
        self.most = (had + 1) // 2
        if self._fabric.device.type == "cuda":
            torch.cuda.empty_cache()
        told = f"Memory does not suffice for {had} images at once: batches of {size} "
        self._say(told + f"go through the network in parts of {self.most}.")


def _parts(size: int, most: int) -> Iterator[slice]:
    """Cut a batch into parts of like size, at most so many each."""
    count = -(-size // most) if most else 1
    for part in np.array_split(np.arange(size), count):
        yield slice(int(part[0]), int(part[-1]) + 1)


def predict(
    ask: Callable[[npt.NDArray[np.intp]], torch.Tensor],
    indices: npt.NDArray[np.intp],
    *,
    size: int,
    fabric: Fabric,
) -> npt.NDArray[np.float32]:
    """Return logits of cases, (N, L); processes share the work.

    Args:
        ask: Returns the logits of some cases.
        indices: Which cases.
        size: How many at once; less where memory does not suffice.
        fabric: Lightning's hand on the device.

    Raises:
        RuntimeError: If not even one case fits into memory, or torch fails otherwise.
    """
    world, rank = fabric.world_size, fabric.global_rank
    share = -(-len(indices) // world)
    own = np.resize(indices, share * world)[rank::world]
    told: list[torch.Tensor] = []
    at = 0
    while at < len(own):
        try:
            told.append(ask(own[at : at + size]).float())
        except RuntimeError as error:
            if size == 1 or not is_out_of_memory(error):
                raise
            size = (size + 1) // 2
            continue
        at += size
    logits = torch.cat(told)
    if world > 1:
        every: Any = fabric.all_gather(logits)  # (world, share, L)
        logits = every.transpose(0, 1).flatten(0, 1)[: len(indices)]
    return np.asarray(logits.cpu().numpy(), np.float32)
