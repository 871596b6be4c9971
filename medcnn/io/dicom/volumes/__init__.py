"""From planes to volumes: what belongs together, its order and its grid."""
