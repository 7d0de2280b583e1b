"""A run: planned, carried out, kept. The only orchestration."""
