"""medcnn in napari: read medical images, classify them, see why."""
