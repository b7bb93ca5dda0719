"""Motion of every sensor row: estimators, and what they are made of."""
