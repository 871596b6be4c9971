"""How far heatmaps can be trusted: against readers' marks, and without any."""

from medcnn.trust.located import has_mark
from medcnn.trust.means import Group
from medcnn.trust.measuring import TrustDesign, TrustLevel, measure_trust

__all__ = ["Group", "TrustDesign", "TrustLevel", "has_mark", "measure_trust"]
