"""How far heatmaps can be trusted: against readers' marks, and without any."""

from medcnn.trust.measuring import TrustDesign, TrustLevel, measure_trust

__all__ = ["TrustDesign", "TrustLevel", "measure_trust"]
