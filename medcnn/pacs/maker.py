"""Which model and codes the results in a spool are made with: one of each, for good.

The same object sent again has the results that it had. Were the model another by then,
they would be another model's, and nobody would be told.
"""

import hashlib
import json
from pathlib import Path

from medcnn.dicom_out import Codes
from medcnn.errors import OutputError
from medcnn.model import Model
from medcnn.outputs import write_whole

__all__ = ["hold_to"]

_FILE = "made-with.json"


def hold_to(folder: Path, model: Model, codes: Codes) -> None:
    """Note what the results in a folder are made with, or hold to what is noted.

    Args:
        folder: Of the spool.
        model: The open model.
        codes: A site's codes.

    Raises:
        OutputError: If they were made with another model or other codes, or the note
            cannot be read or written.
    """
    now = {
        "model": model.spec.name,
        "model_sha256": model.bundle.sha256,
        "codes_sha256": hashlib.sha256(codes.model_dump_json().encode()).hexdigest(),
    }
    path = folder / _FILE
    noted = _noted(path)
    if noted is None:
        write_whole(path, (json.dumps(now, indent=1) + "\n").encode())
        return
    hint = "Choose another --output, or give what was given before."
    if noted.get("model_sha256") != now["model_sha256"]:
        msg = f"the results in {folder} are of the model {noted.get('model')}, not of "
        msg += f"this {model.spec.name}; objects sent again would keep them"
        raise OutputError(msg, hint=hint)
    if noted.get("codes_sha256") != now["codes_sha256"]:
        msg = f"the results in {folder} were made with other --codes; objects sent "
        msg += "again would keep them"
        raise OutputError(msg, hint=hint)


def _noted(path: Path) -> dict[str, str] | None:
    """Return what a note says; None where there is none.

    Raises:
        OutputError: If it cannot be read.
    """
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise OutputError(msg, hint="Make it readable for this user.") from error
    except ValueError as error:
        msg = f"{path} is broken: it says which model the results are of"
        raise OutputError(msg, hint="Choose another --output.") from error
    return found if isinstance(found, dict) else {}
