"""Whole-slide images: opened, described, and read a tile at a time."""

from medcnn.io.slide.contract import MAX_SLIDE_PIXELS, SlideParts, check_matrix
from medcnn.io.slide.pyramid import Level
from medcnn.io.slide.slide import Slide, open_parts, open_slide
from medcnn.io.slide.sniff import slide_kind
from medcnn.io.slide.tiles import Tile, Tiles

__all__ = [
    "MAX_SLIDE_PIXELS",
    "Level",
    "Slide",
    "SlideParts",
    "Tile",
    "Tiles",
    "check_matrix",
    "open_parts",
    "open_slide",
    "slide_kind",
]
