"""Training: adapters from data, on one shared base."""
