"""medcnn in a browser: Slicer's own views, drawn here and shown there."""
