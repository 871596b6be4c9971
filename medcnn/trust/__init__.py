"""How far heatmaps can be trusted: against readers' marks, and without any."""

from medcnn.trust.located import has_mark
from medcnn.trust.means import Group
from medcnn.trust.measuring import TrustDesign, TrustLevel, measure_trust
from medcnn.trust.methods import MethodMaps

__all__ = [
    "Group",
    "MethodMaps",
    "TrustDesign",
    "TrustLevel",
    "has_mark",
    "measure_trust",
]
