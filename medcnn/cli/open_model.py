"""Open a model as the options say, and tell what was chosen."""

from typing import Literal

import medcnn
from medcnn.cli.console import say
from medcnn.cli.options import EngineChoice

__all__ = ["open_model"]


def open_model(
    name: str,
    *,
    engine: EngineChoice,
    device: str,
    quiet: bool,
    precision: Literal["fp32", "int8"] = "fp32",
) -> "medcnn.Model":
    """Open a model; say on stderr which engine and device run it."""
    model = medcnn.Model.open(name, engine=engine, device=device, precision=precision)
    runs_on = f"{model.engine.name} on {model.engine.device}"
    say(f"{model.spec.name} {model.spec.version}, {runs_on}", quiet=quiet)
    return model
