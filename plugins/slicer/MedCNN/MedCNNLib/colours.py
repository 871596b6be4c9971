"""The heatmap colours of medcnn's reports: black over violet and orange to yellow."""

import numpy as np

__all__ = ["COLOURS"]

# matplotlib's inferno at every eighth of 256 places, straight lines between.
_STOPS = """
000004 040312 0b0724 150b37 210c4a 2f0a5b 3d0965 4a0c6b 57106e 64156e 71196e 7d1e6d
8a226a 972766 a32c61 b0315b bc3754 c63d4d d04545 da4e3c e35933 eb6429 f1711f f67e14
f98c0a fb9b06 fcaa0f fbba1f f9c932 f5d949 f2e865 f3f586 fcffa4
""".split()


def _colours() -> np.ndarray:
    """Return 256 colours, red, green and blue from 0 to 1, (256, 3)."""
    stops = np.array([list(bytes.fromhex(stop)) for stop in _STOPS]) / 255
    at = np.linspace(0, 255, len(stops)).round()
    return np.stack([np.interp(np.arange(256), at, part) for part in stops.T], axis=1)


COLOURS = _colours()
