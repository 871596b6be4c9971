"""Screen a whole slide with a 2-D model: tile by tile, then one answer for all."""

from medcnn.slides.grid import lay_on
from medcnn.slides.result import SlideResult, TileScores
from medcnn.slides.run import Rule, screen_slide

__all__ = ["Rule", "SlideResult", "TileScores", "lay_on", "screen_slide"]
