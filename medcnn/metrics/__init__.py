"""Numbers in, numbers out: discrimination, operating points, calibration."""
