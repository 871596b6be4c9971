"""What is reached without a network: the rows that every trained model stands beside.

The share of diseased alone, the table's other columns, and plain measures of the image
with logistic regression and gradient boosting. Where one of them is as good as a
network, the network has learnt nothing that is worth its cost.
"""

from medcnn.baselines.compare import Asked, Comparison, Row, compare
from medcnn.baselines.features import image_features
from medcnn.baselines.learn import BASELINES, Baselines, Learner
from medcnn.baselines.metadata import metadata_features

__all__ = [
    "BASELINES",
    "Asked",
    "Baselines",
    "Comparison",
    "Learner",
    "Row",
    "compare",
    "image_features",
    "metadata_features",
]
