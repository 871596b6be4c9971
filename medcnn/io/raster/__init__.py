"""PNG, JPEG and BMP pictures of 8 or 16 bits; they have no geometry."""

from medcnn.io.raster.reader import describe_all, read, read_all

__all__ = ["describe_all", "read", "read_all"]
