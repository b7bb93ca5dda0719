"""Ways to find the row time of a rolling shutter, one a file."""
