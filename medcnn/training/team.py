"""All networks of one training, and what they say together of held-out cases."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from safetensors.torch import load_file

from medcnn.bundle import Bundle, BundleSpec
from medcnn.dataset import fold_table
from medcnn.networks import Classifier, build, centre_head, ensemble_of
from medcnn.training.answers import Answers, ask
from medcnn.training.loop import BEST
from medcnn.training.material import Material
from medcnn.training.members import Folds, Trained

__all__ = ["Team", "ask_about", "team_of"]


@dataclass(frozen=True, eq=False)
class Team:
    """All networks of a training.

    Attributes:
        trained: What was trained.
        networks: The networks with their best weights.
        material: What the whole training works on; with folds all but test is train.
        folds: The fold of each case, if there are folds.
    """

    trained: Sequence[Trained]
    networks: Sequence[Classifier]
    material: Material
    folds: Folds | None

    @property
    def has_folds(self) -> bool:
        """Whether each case was held out once."""
        return self.folds is not None

    @property
    def held(self) -> str:
        """What is held out of training to decide by: val, or each fold in turn."""
        return "val" if self.folds is None else "out-of-fold"

    def joined(self) -> Classifier:
        """Return the network of the bundle."""
        if len(self.networks) == 1:
            return self.networks[0]
        return ensemble_of(self.networks)

    def each(self, answers: Answers) -> npt.NDArray[np.float32]:
        """Return what each network alone said, (M, N, L)."""
        if len(self.networks) == 1:
            return answers.logits[None]
        features = np.split(answers.features, len(self.networks), axis=1)
        told = []
        for network, own in zip(self.networks, features, strict=True):
            weight = network.head.weight.detach().numpy()
            told.append(own @ weight.T + network.head.bias.detach().numpy())
        return np.stack(told)

    def alone(self, answers: Answers, name: str) -> dict[str, npt.NDArray[np.float32]]:
        """Return what each network said of cases that none of them saw."""
        if len(self.networks) == 1 or (self.has_folds and name != "test"):
            return {}
        names = [one.member.name for one in self.trained]
        return dict(zip(names, self.each(answers), strict=True))

    def held_out(self, answers: Answers, chosen: npt.NDArray[np.intp]) -> Answers:
        """Return answers in which only networks speak that did not see the case.

        Args:
            answers: Of the bundle, about these cases.
            chosen: Their indices in the table.
        """
        if self.folds is None:
            return answers
        each = self.each(answers)  # (M, N, L)
        own = np.array([one.member.fold for one in self.trained])
        unseen = (own[:, None] == self.folds[chosen])[..., None]  # (M, N, 1)
        logits = (each * unseen).sum(0) / unseen.sum(0)
        return replace(answers, logits=logits.astype(np.float32))


def team_of(
    trained: Sequence[Trained], material: Material, folds: Folds | None
) -> Team:
    """Build the networks anew, with their best weights, heads of classes centred.

    Args:
        trained: What was trained.
        material: What the whole training works on.
        folds: The fold of each case, if there are folds.
    """
    recipe, networks = material.recipe, []
    for one in trained:
        network = build(
            recipe.network.name,
            dims=recipe.input.dims,
            in_channels=recipe.input.channels,
            labels=len(material.table.labels),
            shape=recipe.input.shape,
            **recipe.network.arguments,
        )
        network.load_state_dict(load_file(one.member.material.work / BEST))
        if material.table.activation == "softmax":
            centre_head(network)
        networks.append(network.eval())
    if folds is not None:
        table = fold_table(material.table, folds, None)
        material = replace(material, table=table)
    return Team(trained, networks, material, folds)


def ask_about(
    team: Team, bundle: Bundle, spec: BundleSpec
) -> tuple[dict[str, Answers], dict[str, npt.NDArray[np.intp]]]:
    """Ask about what was held out, and about test if there is one.

    Returns:
        For each the answers, and the cases' indices in the table.
    """
    material = team.material
    table, reporter = material.table, material.reporter
    indices = {team.held: material.indices("train" if team.has_folds else "val")}
    if "test" in table.column("split"):
        indices["test"] = material.indices("test")
    parts = {}
    for name, chosen in indices.items():
        asked = table.take(chosen.tolist())
        answers = ask(bundle, asked, spec.gate, reporter, what=name)
        parts[name] = answers if name == "test" else team.held_out(answers, chosen)
    return parts, indices
