"""medcnn doctor: what is installed, what works, and the command that adds the rest."""

import os
import platform
import sys
import time
from typing import Any

import medcnn
from medcnn.cli.console import answer, end, printable, show
from medcnn.cli.known_faults import faults_of, versions_of_programs
from medcnn.cli.options import EngineChoice, Json
from medcnn.errors import MedcnnError, MissingDependencyError

__all__ = ["doctor", "version_of"]

_PARTS = {
    "read": ("pydicom", "highdicom", "nibabel", "pillow", "numpy", "scipy"),
    "run": ("openvino", "opencv-python-headless", "onnxruntime"),
    "train": ("torch", "monai", "lightning", "onnx", "onnxscript"),
    "explain": ("captum",),
    "samples": ("pydicom-data",),
    "slides": ("tifffile",),
    "serve": ("fastapi", "uvicorn"),
    "archives": ("pynetdicom", "dicomweb-client"),
    "report": ("jinja2", "markdown-it-py", "matplotlib", "rich", "typer"),
}
_EXTRAS = {
    "captum": "explain",
    "dicomweb-client": "dicomweb",
    "pynetdicom": "dicomweb",
    "onnxruntime": "onnxruntime",
    "pydicom-data": "samples",
    "tifffile": "slides",
    **dict.fromkeys(_PARTS["serve"], "serve"),
} | dict.fromkeys(_PARTS["train"], "train")
_ENGINES: tuple[EngineChoice, ...] = ("openvino", "onnxruntime", "torch")


def doctor(*, as_json: Json = False) -> None:
    """Say what is installed and works, and how to add the rest.

    Versions with known security faults are named. Each model that comes with medcnn is
    run in each engine.
    """
    packages = _packages()
    missing = [name for name, found in packages.items() if found is None]
    findings: dict[str, Any] = {
        "medcnn": version_of("medcnn-imaging"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "cpu_cores": os.cpu_count(),
        "packages": packages,
        "engines": [
            _try_engine(name, engine)
            for name in medcnn.shipped_bundles()
            for engine in _ENGINES
        ],
        "devices": _devices(),
        "add": {name: _command(name) for name in missing},
        "faults": faults_of(packages | versions_of_programs()),
    }
    if as_json:
        answer(findings)
    else:
        _show(findings)
    broken = [one for one in findings["engines"] if one["state"] == "broken"]
    needed = [name for name in missing if name not in _EXTRAS]
    end(answers=0, problems=len(broken) + len(needed))


def _packages() -> dict[str, str | None]:
    """Return the version of every package that matters; None if it is missing."""
    return {name: version_of(name) for names in _PARTS.values() for name in names}


def version_of(package: str) -> str | None:
    """Return the version of an installed package; None if it is not installed."""
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _command(package: str) -> str:
    """Return the exact command that adds a package."""
    extra = _EXTRAS.get(package)
    what = f"medcnn-imaging[{extra}]" if extra else package
    return f"{sys.executable} -m pip install '{what}'"


def _try_engine(name: str, engine: EngineChoice) -> dict[str, Any]:
    """Run a shipped model in an engine and compare it with what it should say."""
    from medcnn.cli.selftest import run_selftest

    facts: dict[str, Any] = {"model": name, "engine": engine, "device": None}
    start = time.perf_counter()
    try:
        device, words = run_selftest(name, engine)
    except MissingDependencyError as error:
        return facts | {"state": "missing", "words": str(error)}
    except MedcnnError as error:
        return facts | {"state": "broken", "words": str(error)}
    seconds = time.perf_counter() - start
    return facts | {
        "device": device,
        "state": "works",
        "words": words,
        "seconds": round(seconds, 2),
    }


def _devices() -> list[str]:
    """Return the devices that a model can run on, the CPU first."""
    if version_of("torch") is None:
        return ["cpu"]
    import torch

    cards = [
        f"cuda:{n} ({torch.cuda.get_device_name(n)})"
        for n in range(torch.cuda.device_count())
    ]
    return ["cpu", *cards, *(["mps"] if torch.backends.mps.is_available() else [])]


def _show(findings: dict[str, Any]) -> None:
    """Show what was found as tables."""
    from rich.table import Table
    from rich.text import Text

    head = f"medcnn {findings['medcnn'] or '(not installed, run from its source)'}"
    show(Text(head, style="bold"))
    show(f"Python {findings['python']}, {findings['system']}")
    show(
        f"{findings['cpu_cores']} CPU cores; devices: {', '.join(findings['devices'])}"
    )
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for title in ("for", "package", "version"):
        table.add_column(title)
    for part, names in _PARTS.items():
        for name in names:
            found = findings["packages"][name]
            style = "" if found else "yellow"
            table.add_row(part, name, Text(found or "not installed", style=style))
            part = ""  # noqa: PLW2901 - said once a group
    show("")
    show(table)
    _show_engines(findings["engines"])
    for name, command in findings["add"].items():
        show(Text(f"To add {name}: {command}"))
    for fault in findings["faults"]:
        what = f"{fault['name']} {fault['version']} has a known fault: {fault['fault']}"
        words = f"{what}; {fault['needed']} has it no more: {fault['mend']}."
        show(Text(printable(words), style="bold yellow"))


def _show_engines(engines: list[dict[str, Any]]) -> None:
    """Show which model runs in which engine."""
    from rich.table import Table
    from rich.text import Text

    show("")
    if not engines:
        show("No model comes with this installation, so no engine was tried.\n")
        return
    colours = {"works": "green", "missing": "yellow", "broken": "bold red"}
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for title in ("model", "engine", "state", "what was seen"):
        table.add_column(title, overflow="fold")
    for one in engines:
        state = Text(one["state"], style=colours[one["state"]])
        words = Text(printable(one["words"]))
        table.add_row(one["model"], one["engine"], state, words)
    show(table)
    show("")
