"""From encoded bytes to stored values, and from stored values to meaning."""
