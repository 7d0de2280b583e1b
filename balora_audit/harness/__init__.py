"""lm-evaluation-harness: what the task files in ``tasks/`` call."""
