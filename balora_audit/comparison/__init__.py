"""From evidence to comparisons: claims, paired differences, verdicts, and their calibration."""
