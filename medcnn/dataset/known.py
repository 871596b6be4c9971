"""What the labels of the published MedMNIST sets mean, by file name.

The files hold numbers only; names and modalities are from the paper and the package's
own table of facts.

References:
    [1] Yang et al., MedMNIST v2, Scientific Data 10 (2023) 41, table 1.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Known", "known_set"]


@dataclass(frozen=True)
class Known:
    """A published data set.

    Attributes:
        classes: Names by number.
        modality: DICOM code of what the images are.
        laterality: Whether left and right mean something in it.
    """

    classes: Mapping[int, str]
    modality: str
    laterality: bool


def _known(modality: str, *classes: str, laterality: bool = False) -> Known:
    return Known(dict(enumerate(classes)), modality, laterality)


_ORGANS = _known(
    "CT",
    *("bladder", "femur-left", "femur-right", "heart", "kidney-left"),
    *("kidney-right", "liver", "lung-left", "lung-right", "pancreas", "spleen"),
    laterality=True,
)
_SETS = {
    "pathmnist": _known(
        "SM",
        *("adipose", "background", "debris", "lymphocytes", "mucus", "smooth muscle"),
        *("normal colon mucosa", "cancer-associated stroma"),
        "colorectal adenocarcinoma epithelium",
    ),
    "chestmnist": _known(
        "DX",
        *("atelectasis", "cardiomegaly", "effusion", "infiltration", "mass", "nodule"),
        *("pneumonia", "pneumothorax", "consolidation", "edema", "emphysema"),
        *("fibrosis", "pleural", "hernia"),
        laterality=True,
    ),
    "dermamnist": _known(
        "DMS",
        "actinic keratoses and intraepithelial carcinoma",
        *("basal cell carcinoma", "benign keratosis-like lesions", "dermatofibroma"),
        *("melanoma", "melanocytic nevi", "vascular lesions"),
    ),
    "octmnist": _known(
        "OPT",
        *("choroidal neovascularization", "diabetic macular edema", "drusen"),
        "normal",
    ),
    "pneumoniamnist": _known("DX", "normal", "pneumonia", laterality=True),
    "retinamnist": _known("OP", *"01234"),
    "breastmnist": _known("US", "malignant", "normal, benign"),
    "bloodmnist": _known(
        "GM",
        *("basophil", "eosinophil", "erythroblast"),
        "immature granulocytes",
        *("lymphocyte", "monocyte", "neutrophil", "platelet"),
    ),
    "tissuemnist": _known(
        "GM",
        "collecting duct, connecting tubule",
        *("distal convoluted tubule", "glomerular endothelial cells"),
        *("interstitial endothelial cells", "leukocytes", "podocytes"),
        *("proximal tubule segments", "thick ascending limb"),
    ),
    "organamnist": _ORGANS,
    "organcmnist": _ORGANS,
    "organsmnist": _ORGANS,
    "organmnist3d": _known(
        "CT",
        *("liver", "kidney-right", "kidney-left", "femur-right", "femur-left"),
        *("bladder", "heart", "lung-right", "lung-left", "spleen", "pancreas"),
        laterality=True,
    ),
    "nodulemnist3d": _known("CT", "benign", "malignant"),
    "adrenalmnist3d": _known("CT", "normal", "hyperplasia"),
    "fracturemnist3d": _known(
        "CT",
        *(f"{kind} rib fracture" for kind in ("buckle", "nondisplaced", "displaced")),
    ),
    "vesselmnist3d": _known("MR", "vessel", "aneurysm"),
    "synapsemnist3d": _known("EM", "inhibitory synapse", "excitatory synapse"),
}


def known_set(stem: str) -> Known | None:
    """Return what is known of a file called so, such as pneumoniamnist or _64; or None.

    Examples:
        >>> known_set("pneumoniamnist_128").classes
        {0: 'normal', 1: 'pneumonia'}
    """
    return _SETS.get(re.sub(r"_(28|64|128|224)$", "", stem.lower()))
