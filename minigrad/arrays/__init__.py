"""Where numbers live: the array library (backend), what may become an array (dtypes), and what is drawn (random)."""
