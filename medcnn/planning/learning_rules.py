"""The plan's rules on the network and on how it learns."""

import math

from medcnn.planning.draft import Draft
from medcnn.planning.fingerprint import Fingerprint
from medcnn.planning.input_rules import Rule
from medcnn.planning.memory import Machine, bytes_per_image

__all__ = ["LEARNING_RULES"]

_SHARE_OF_MEMORY = 0.4
_LEAST_STEPS = 10
_RARE = 0.05
_SEEN = {  # (small, GPU): images seen in all, fewest and most epochs
    (True, False): (40_000, 4, 60),
    (True, True): (300_000, 15, 100),
    (False, False): (60_000, 5, 30),
    (False, True): (200_000, 10, 60),
}


def _network(data: Fingerprint, machine: Machine, draft: Draft) -> None:
    width = 64 if machine.is_fast else 32
    small = "at most 64 pixels a side: a stem that keeps the resolution"
    arguments: dict[str, object] = {}
    if data.is_small and data.dims == 2:
        name, why = "resnet18", "the usual network for small pictures"
        arguments, because = {"stem": "small", "width": width}, small
    elif data.is_small:
        name, why = "resnet18", "3-D ResNets are the best single networks for volumes"
        arguments = {"stem": "half", "width": 32}
        because = "at most 64 voxels a side: a stem that leaves a half, not a quarter"
    elif data.dims == 3:
        name, why = "resnet18", "3-D ResNets are the best single networks for volumes"
        because = "as published"
    elif machine.is_fast:
        name, because = "densenet121", "as published"
        why = "best mean accuracy of the usual networks on MedMNIST+ at 224 pixels"
    else:
        name, because = "resnet18", "as published"
        why = "a CPU: close to DenseNet-121, at a sixth of its memory"
    draft.decide("network.name", name, why)
    if draft["network.name"] != name:
        arguments, because = {}, f"{draft['network.name']} as published"
    draft.decide("network.arguments", arguments, because)


def _batch(data: Fingerprint, machine: Machine, draft: Draft) -> None:
    shape = draft["input.shape"]
    wanted = 64 if data.is_small and data.dims == 2 else 32
    why = "large enough for stable batch statistics"
    each = bytes_per_image(draft["network.name"], draft["network.arguments"], shape)
    each *= 0.6 if machine.half else 1
    budget = _SHARE_OF_MEMORY * machine.memory_gb * 1e9
    fits = 2 ** int(math.log2(max(budget / each, 2)))
    if fits < wanted:
        memory = f"{machine.memory_gb:.0f} GB"
        wanted, why = (
            fits,
            f"{_SHARE_OF_MEMORY:.0%} of {memory} at {each / 1e6:.0f} MB each",
        )
    enough = max(4, 2 ** int(math.log2(max(data.to_learn / _LEAST_STEPS, 2))))
    if enough < wanted:
        wanted, why = (
            enough,
            f"at least {_LEAST_STEPS} steps in an epoch of {data.to_learn}",
        )
    draft.decide("optimiser.batch_size", wanted, why)


def _epochs(data: Fingerprint, machine: Machine, draft: Draft) -> None:
    seen, fewest, most = _SEEN[data.is_small, machine.is_fast]
    if data.dims == 3:
        seen //= 2
    more = ""
    if data.task == "multi-class":
        # as many images of each class as where there are two
        seen = seen * len(data.labels) // 2
        more = f" for {len(data.labels)} classes"
    epochs = min(most, max(fewest, math.ceil(seen / max(data.to_learn, 1))))
    why = f"{seen:,} images seen{more}, {data.to_learn:,} an epoch; "
    why += f"{fewest} to {most} epochs"
    draft.decide("optimiser.epochs", epochs, why)
    patience = max(5, math.ceil(draft["optimiser.epochs"] / 2))
    why = (
        "half of the epochs without a better validation score: it has stopped learning"
    )
    draft.decide("optimiser.patience", patience, why)


def _rates(data: Fingerprint, _machine: Machine, draft: Draft) -> None:
    if draft.is_given("network.pretrained"):
        why = "new, it learns faster than the pretrained body"
        draft.decide("optimiser.lr_head", 1e-3, why)
        why = "pretrained: small steps keep what was learnt"
        draft.decide("optimiser.lr_body", 2e-4, why)
        draft.decide("optimiser.stage_decay", 0.7, "early stages know edges already")
        draft.decide("optimiser.weight_decay", 0.01, "as usual for pretrained weights")
    else:
        rate = 2e-3 if data.is_small else 1e-3
        why = "AdamW from random weights"
        draft.decide("optimiser.lr_head", rate, why)
        draft.decide("optimiser.lr_body", rate, f"{why}: the body learns as fast")
        draft.decide(
            "optimiser.weight_decay", 0.05, "from random weights, more than 0.01"
        )
    draft.decide(
        "optimiser.warmup", 0.15, "the rate rises over 15 % of all steps, then falls"
    )
    draft.decide("optimiser.clip", 5.0, "only a gradient that jumps is cut")
    draft.decide(
        "optimiser.ema", 0.99, "averaged weights are steadier than the last ones"
    )


def _loss(data: Fingerprint, _machine: Machine, draft: Draft) -> None:
    share = f"{100 * data.rarest_share:.1f} %"
    if data.rarest_share < _RARE:
        why = f"the rarest label is told by {share}: it counts more, at most tenfold"
        draft.decide("loss.pos_weight", "balanced", why)
    else:
        why = (
            f"the rarest label is told by {share}; no weights keep probabilities honest"
        )
        draft.decide("loss.pos_weight", "none", why)


def _flip(data: Fingerprint, _machine: Machine, draft: Draft) -> None:
    if data.laterality:
        draft.decide("augmentation.flip", False, data.laterality_reason)  # noqa: FBT003
    elif data.dims == 3:
        why = "sides are alike, but volumes were learnt slower with mirror images"
        draft.decide("augmentation.flip", False, why)  # noqa: FBT003
    else:
        draft.decide("augmentation.flip", True, data.laterality_reason)  # noqa: FBT003


def _augmentation(data: Fingerprint, _machine: Machine, draft: Draft) -> None:
    volume = data.dims == 3
    place = "volumes lie less evenly" if volume else "patients lie a little differently"
    draft.decide("augmentation.rotation_deg", 15.0 if volume else 10.0, place)
    draft.decide("augmentation.translate", 0.08 if volume else 0.05, place)
    draft.decide(
        "augmentation.scale", 0.15 if volume else 0.1, "sizes of people differ"
    )
    grey = {"gamma": 0.2, "contrast": 0.2, "brightness": 0.1, "noise": 0.02}
    why = "exposure and devices differ"
    if data.binary:
        grey, why = dict.fromkeys(grey, 0.0), "masks of two values have no brightness"
    elif data.unit == "HU":
        grey = {"gamma": 0.1, "contrast": 0.1, "brightness": 0.05, "noise": 0.02}
        why = "Hounsfield units are calibrated: little"
    for name, value in grey.items():
        draft.decide(f"augmentation.{name}", value, why)


def _members(data: Fingerprint, _machine: Machine, draft: Draft) -> None:
    few = " (it is worth it with so few images)" if data.to_learn < 1000 else ""
    why = f"one network; --folds 5 trains five, for five times the time{few}"
    draft.decide("folds", 1, why)
    draft.decide("seeds", 1, "one network; --seeds 3 tells how much is chance")


def _scope(data: Fingerprint, _machine: Machine, draft: Draft) -> None:
    if data.modalities:
        why = "what the files say of themselves; other images are out of scope"
        draft.decide("gate.modalities", data.modalities, why)
        if len(data.body_parts) == 1:
            draft.decide("gate.body_parts", data.body_parts, why)
    if data.groups:
        why = "columns that divide the cases into few groups of 20 or more"
        draft.decide("report.subgroups", data.groups, why)


LEARNING_RULES: tuple[Rule, ...] = (
    *(_network, _batch, _epochs, _rates, _loss, _flip, _augmentation, _members),
    _scope,
)
