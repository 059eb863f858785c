"""Short scripts, one for each result."""
