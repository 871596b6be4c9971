"""Normal-only detectors: what lies far from everything that normal images hold.

They stand on the last feature map of a pretrained network and need no label but
"normal". What they keep is data (safetensors), and they run wherever the network does.
"""

from medcnn.detectors.cells import DetectorSpec, Places, places_for
from medcnn.detectors.contract import DETECTOR, Detector, detector_of
from medcnn.detectors.padim import Padim, PadimFit
from medcnn.detectors.patchcore import PatchCore, PatchCoreFit, coreset

__all__ = [
    "DETECTOR",
    "Detector",
    "DetectorSpec",
    "Padim",
    "PadimFit",
    "PatchCore",
    "PatchCoreFit",
    "Places",
    "coreset",
    "detector_of",
    "places_for",
]
