"""Models: finding, converting, loading and fingerprinting the base."""
