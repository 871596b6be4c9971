"""Start the browser viewer: python -m medcnn_trame --medcnn-python PYTHON [PATH]."""

import argparse
import importlib.util
import sys
from pathlib import Path

SLICER_PLUGIN = Path(__file__).parents[2] / "slicer/MedCNN"


def main() -> None:
    """Read the command line, open the viewer, and serve it until it is stopped."""
    parser = argparse.ArgumentParser("medcnn view", description=__doc__)
    parser.add_argument("path", nargs="?", help="an image or a folder with a series")
    parser.add_argument("--medcnn-python", required=True, help="where medcnn is")
    parser.add_argument("--model", default="")
    parser.add_argument("--data-folder", default="", help="may be read for Evaluate")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--no-browser", action="store_true")
    parser.add_argument("--stdin", action="store_true", help="end when stdin is closed")
    given = parser.parse_args()
    if importlib.util.find_spec("MedCNNLib") is None:
        sys.path.insert(0, str(SLICER_PLUGIN))
    from medcnn_trame.app import serve  # after its library can be found

    serve(given)


if __name__ == "__main__":
    main()
