"""Job files: read, checked, run."""
