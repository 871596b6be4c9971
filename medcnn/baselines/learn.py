"""Fit each baseline on training cases, and ask it about others."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

__all__ = ["BASELINES", "Baselines", "Learner"]

FloatArray = npt.NDArray[Any]
Indices = npt.NDArray[np.intp]

BASELINES = {
    "prevalence": "Prevalence only",
    "metadata": "Table columns, logistic regression",
    "logistic": "Simple image features, logistic regression",
    "boosting": "Simple image features, gradient boosting",
}
"""The baselines' names, and what they are called in tables."""

_MOST = 20_000
_FEWEST_IN_LEAF = 20
_WORTH_THREADS = 1_000_000


@dataclass(frozen=True, eq=False)
class Learner:
    """A way to fit probabilities, or none where only the share counts."""

    make: Callable[[int], Any] | None
    features: FloatArray


class Baselines:
    """The baselines of one table.

    Args:
        truth: (N, L), NaN where unknown.
        activation: "softmax" if exactly one label is true of each case.
        image: `image_features` of every case.
        metadata: `metadata_features` of every case; without columns there is no such
            baseline.
        seed: Decides which training cases are taken if there are more than 20,000.
    """

    def __init__(
        self,
        truth: npt.NDArray[np.float32],
        activation: Literal["sigmoid", "softmax"],
        image: FloatArray,
        metadata: FloatArray,
        *,
        seed: int,
    ) -> None:
        self._truth = truth
        self._softmax = activation == "softmax"
        self._seed = seed
        self._learners = {
            "prevalence": Learner(None, image[:, :0]),
            "metadata": Learner(_logistic, metadata),
            "logistic": Learner(_logistic, image),
            "boosting": Learner(_boosting, image),
        }
        if not metadata.shape[1]:
            del self._learners["metadata"]

    def told(self, train: Indices, asked: Indices) -> dict[str, FloatArray]:
        """Fit all on some cases and ask them about others.

        Args:
            train: Indices of the cases to learn from.
            asked: Indices of the cases to judge.

        Returns:
            For each baseline probabilities, (len(asked), L).
        """
        if len(train) > _MOST:
            rng = np.random.default_rng((self._seed, 4))
            train = np.sort(rng.permutation(train)[:_MOST])
        ask = self._classes if self._softmax else self._labels
        return {
            name: ask(learner, train, asked) for name, learner in self._learners.items()
        }

    def _labels(self, learner: Learner, train: Indices, asked: Indices) -> FloatArray:
        """Judge each label alone, from the cases that know it."""
        told = np.zeros((len(asked), self._truth.shape[1]))
        for column, truth in enumerate(self._truth.T):
            known = train[~np.isnan(truth[train])]
            share = float(truth[known].mean()) if len(known) else 0.5
            told[:, column] = share
            make = learner.make
            if make is not None and 0 < share < 1:
                model = _fit(make, learner, known, truth[known].astype(int))
                features = learner.features[asked]
                told[:, column] = model.predict_proba(features)[:, 1]
        return told

    def _classes(self, learner: Learner, train: Indices, asked: Indices) -> FloatArray:
        """Judge all classes at once; one that no training case has gets 0."""
        known = train[~np.isnan(self._truth[train]).any(1)]
        truth = self._truth[known].argmax(1)
        shares = np.bincount(truth, minlength=self._truth.shape[1]) / max(len(known), 1)
        make = learner.make
        if make is None or (shares > 0).sum() < 2:
            return np.tile(shares, (len(asked), 1))
        model = _fit(make, learner, known, truth)
        told = np.zeros((len(asked), self._truth.shape[1]))
        told[:, model.classes_] = model.predict_proba(learner.features[asked])
        return told


def _fit(
    make: Callable[[int], Any],
    learner: Learner,
    train: Indices,
    truth: npt.NDArray[np.intp],
) -> Any:
    features = learner.features[train]
    threads = 1 if features.size < _WORTH_THREADS else None  # they cost more than that
    with warnings.catch_warnings(), threadpool_limits(threads):
        warnings.simplefilter("ignore", ConvergenceWarning)
        return make(len(train)).fit(features, truth)


def _logistic(_count: int) -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))


def _boosting(count: int) -> Any:
    return HistGradientBoostingClassifier(
        max_iter=200,
        learning_rate=0.06,
        l2_regularization=1.0,
        max_leaf_nodes=15,
        min_samples_leaf=min(_FEWEST_IN_LEAF, max(2, count // 20)),
        early_stopping=False,
        random_state=0,
    )
