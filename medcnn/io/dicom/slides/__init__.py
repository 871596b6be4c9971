"""Whole slide images: tiles of a total pixel matrix."""
