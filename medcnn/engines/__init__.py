"""What runs a network: OpenVINO on a CPU, torch on a GPU, ONNX Runtime by choice.

All keep one contract: tensors in, in order; for each its logits and last feature map
out. Every image is computed alone, so that its numbers never depend on its neighbours
in a batch or on where an interrupted run went on.
"""

from collections.abc import Callable
from typing import Literal

from medcnn.bundle import Bundle, Precision
from medcnn.engines.contract import Engine, Outputs
from medcnn.errors import EngineError

__all__ = [
    "Engine",
    "EngineName",
    "Outputs",
    "Precision",
    "open_engine",
    "runs_in",
]

EngineName = Literal["auto", "openvino", "onnxruntime", "torch"]
_NAMES = ("openvino", "onnxruntime", "torch")


def open_engine(
    bundle: Bundle,
    *,
    engine: EngineName = "auto",
    device: str = "auto",
    threads: int | None = None,
    precision: Precision = "fp32",
) -> Engine:
    """Open a bundle's network in an engine.

    Args:
        bundle: A checked bundle.
        engine: "auto" is OpenVINO on a CPU and torch on anything else.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps". "auto" is the CPU unless
            `engine` is "torch" and a GPU is there.
        threads: Most CPU threads; None lets the engine take them all.
        precision: "int8" runs the 8-bit network of the bundle, with OpenVINO.

    Raises:
        EngineError: If the engine is unknown, cannot run on that device or at that
            precision, or the device is absent.
        MissingDependencyError: If the engine is not installed.
    """
    name = _chosen(engine, device, precision)
    return _OPENERS[name](bundle, device, threads)


def runs_in(
    engine: EngineName, *, device: str = "auto", precision: Precision = "fp32"
) -> tuple[str, str]:
    """Return the name and device of what `open_engine` would open, opening nothing.

    Raises:
        EngineError: As `open_engine`.
        MissingDependencyError: If it needs torch, which is not installed.
    """
    name = _chosen(engine, device, precision)
    if name != "torch":
        return name, "cpu"
    from medcnn.engines.torch import device_of

    return name, device_of(device)


def _chosen(engine: EngineName, device: str, precision: Precision) -> str:
    """Return the name of an engine that can run there at that precision.

    Raises:
        EngineError: If it is unknown, or cannot.
    """
    is_cpu = device in {"auto", "cpu"}
    if precision == "int8":
        if engine in {"auto", "openvino"} and is_cpu:
            return "openvino int8"
        msg = f"8-bit networks run in openvino on the CPU, not in {engine} on {device}"
        raise EngineError(msg, hint="Leave --engine and --device out.")
    if engine == "auto":
        return "openvino" if is_cpu else "torch"
    if engine not in _NAMES:
        msg = f"engine {engine!r} is unknown, expected one of auto, {', '.join(_NAMES)}"
        raise EngineError(msg)
    if engine != "torch" and not is_cpu:
        msg = f"{engine} runs on the CPU here, not on {device!r}"
        raise EngineError(msg, hint="Use --engine torch for a GPU.")
    return engine


def _openvino(bundle: Bundle, _device: str, threads: int | None) -> Engine:
    from medcnn.engines.openvino import OpenVinoEngine

    return OpenVinoEngine(bundle, threads=threads)


def _int8(bundle: Bundle, _device: str, threads: int | None) -> Engine:
    from medcnn.engines.openvino import OpenVinoEngine

    return OpenVinoEngine(bundle, threads=threads, precision="int8")


def _onnxruntime(bundle: Bundle, _device: str, threads: int | None) -> Engine:
    from medcnn.engines.onnxruntime import OnnxRuntimeEngine

    return OnnxRuntimeEngine(bundle, threads=threads)


def _torch(bundle: Bundle, device: str, threads: int | None) -> Engine:
    from medcnn.engines.torch import TorchEngine

    return TorchEngine(bundle, device=device, threads=threads)


_OPENERS: dict[str, Callable[[Bundle, str, int | None], Engine]] = {
    "openvino": _openvino,
    "openvino int8": _int8,
    "onnxruntime": _onnxruntime,
    "torch": _torch,
}
