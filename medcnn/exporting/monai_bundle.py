"""A model as a MONAI bundle, which `python -m monai.bundle run` runs without medcnn."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from medcnn.bundle import CARD, SPEC, Bundle
from medcnn.bundle_spec import BundleSpec
from medcnn.engines.contract import need
from medcnn.engines.torch import network_of
from medcnn.errors import DataError

__all__ = ["LOADER", "PROGRAM", "write_monai_bundle"]

PROGRAM = "models/model.pt2"
"""The network, as torch.export writes it."""

_MODULE = "medcnn_portable"
_PARTS = f"scripts.{_MODULE}"

LOADER = f"{_PARTS}.load_network"
"""What loads it: by this name `medcnn import` knows its own."""

_FACTS = f"$@bundle_root + '/{SPEC}'"

_README = """# {name}

{summary}

For research use only: no diagnosis.

In this folder, with MONAI, torch, NumPy, Fire and {reader} installed:

    python -m monai.bundle run --config_file configs/inference.json --input IMAGE

IMAGE is {takes}, a folder of them, or a list. From another folder, add
`--bundle_root FOLDER`. Probabilities go to eval/probabilities.csv (`--output FILE`) and
to the screen; they are those of `medcnn predict`, with its calibration.

What is not in here: the input gate, which says that an image is none the model was made
for; thresholds, which are in bundle.json; heatmaps; DICOM, whose grey levels MONAI's
readers take as they are stored.
"""


def write_monai_bundle(bundle: Bundle, folder: Path) -> str:
    """Write a model as a MONAI bundle.

    Args:
        bundle: A classifier.
        folder: An empty folder.

    Returns:
        The network's file below the folder.

    Raises:
        DataError: If MONAI's readers cannot tell what its preprocessing needs.
        EngineError: If torch cannot trace its network.
        MissingDependencyError: If torch or MONAI is not installed.
    """
    spec = bundle.spec
    _refuse_untold(spec)
    programs: Any = need(
        "medcnn.networks.programs", package="torch", install="medcnn-imaging[train]"
    )
    portable = Path(programs.__file__).with_name("portable.py").read_bytes()
    shape = (spec.input.channels, *spec.input.shape)
    program = programs.program_of(network_of(bundle), shape, with_features=False)
    is_flat = spec.input.dims == 2
    words = _README.format(
        name=spec.name,
        summary=spec.summary,
        reader="Pillow" if is_flat else "nibabel",
        takes="a PNG, JPEG or BMP" if is_flat else "a NIfTI file",
    )
    files: dict[str, bytes] = {
        PROGRAM: program,
        "configs/inference.json": _json(_inference(spec)),
        "configs/metadata.json": _json(_metadata(spec)),
        "scripts/__init__.py": b"",
        f"scripts/{_MODULE}.py": portable,
        "docs/README.md": words.encode(),
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return PROGRAM


def _refuse_untold(spec: BundleSpec) -> None:
    """Refuse preprocessing that would be another one with MONAI's readers.

    Raises:
        DataError: If it is such.
    """
    steps = [step.model_dump() for step in spec.preprocessing.steps]
    hint = "Use --format torch-export, and prepare images as bundle.json says."
    if spec.input.dims == 2 and any(step.get("spacing_mm") for step in steps):
        msg = f"{spec.name} counts in millimetres, which MONAI's reader of pictures "
        msg += "does not know"
        raise DataError(msg, hint=hint)
    if any(step["step"] == "orient" for step in steps[1:]):
        msg = f"{spec.name} turns volumes after its first step, a MONAI bundle cannot"
        raise DataError(msg, hint=hint)


def _json(values: dict[str, Any]) -> bytes:
    return (json.dumps(values, indent=2) + "\n").encode()


def _inference(spec: BundleSpec) -> dict[str, Any]:
    """Return configs/inference.json."""
    return {
        "bundle_root": ".",
        "input": None,
        "output": "$@bundle_root + '/eval/probabilities.csv'",
        "network_def": {
            "_target_": LOADER,
            "path": f"$@bundle_root + '/{PROGRAM}'",
        },
        "preprocessing": {"_target_": "Compose", "transforms": _transforms(spec)},
        "dataset": {
            "_target_": "Dataset",
            "data": {"_target_": f"{_PARTS}.list_images", "images": "@input"},
            "transform": "@preprocessing",
        },
        "dataloader": {
            "_target_": "DataLoader",
            "dataset": "@dataset",
            "batch_size": 1,
            "shuffle": False,
            "num_workers": 0,
        },
        "run": {
            "_target_": f"{_PARTS}.classify",
            "network": "@network_def",
            "data": "@dataloader",
            "facts": _FACTS,
            "output": "@output",
        },
    }


def _transforms(spec: BundleSpec) -> list[dict[str, Any]]:
    """Return what MONAI does to an image's path, up to the network's tensor."""
    read: dict[str, Any] = {
        "_target_": "LoadImaged",
        "keys": "image",
        "reader": "NibabelReader" if spec.input.dims == 3 else "PILReader",
        "dtype": None,
        "ensure_channel_first": True,
    }
    if spec.input.dims == 2:
        read["converter"] = {"_target_": f"{_PARTS}.plain", "_mode_": "callable"}
    first = spec.preprocessing.steps[0].model_dump() if spec.preprocessing.steps else {}
    turn = (
        [
            {
                "_target_": "Orientationd",
                "keys": "image",
                "axcodes": first["codes"],
                "labels": [["L", "R"], ["P", "A"], ["I", "S"]],
            }
        ]
        if first.get("step") == "orient"
        else []
    )
    prepare = {
        "_target_": "Lambdad",
        "keys": "image",
        "func": {"_target_": f"{_PARTS}.Prepare", "facts": _FACTS},
        "track_meta": False,
    }
    return [read, *turn, prepare]


def _metadata(spec: BundleSpec) -> dict[str, Any]:
    """Return configs/metadata.json, by MONAI's schema of bundles."""
    tensor = {"type": "image", "dtype": "float32", "is_patch_data": False}
    return {
        "version": spec.version,
        "changelog": {spec.version: "Exported by medcnn."},
        "monai_version": version("monai"),
        "pytorch_version": version("torch").partition("+")[0],
        "numpy_version": version("numpy"),
        "required_packages_version": {},
        "task": "classification",
        "description": spec.summary,
        "authors": f"See {CARD}",
        "copyright": f"See {CARD}",
        "name": spec.name,
        "intended_use": f"For research use only: no diagnosis. See {CARD}",
        "image_classes": "one image of the kind that the card names",
        "pred_classes": ", ".join(spec.labels),
        "network_data_format": {
            "inputs": {
                "image": {
                    **tensor,
                    "format": "magnitude",
                    "modality": ", ".join(spec.gate.modalities) or "n/a",
                    "num_channels": spec.input.channels,
                    "spatial_shape": list(spec.input.shape),
                    "value_range": [],
                    "channel_def": {
                        str(n): "image" for n in range(spec.input.channels)
                    },
                }
            },
            "outputs": {
                "pred": {
                    **tensor,
                    "type": "logits",
                    "format": "classes",
                    "num_channels": len(spec.labels),
                    "spatial_shape": [],
                    "value_range": [],
                    "channel_def": {str(n): name for n, name in enumerate(spec.labels)},
                }
            },
        },
    }
