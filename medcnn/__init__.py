"""medcnn: classify medical images, show why, and measure how well."""
