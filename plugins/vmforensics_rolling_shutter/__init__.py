"""Recovery from rolling-shutter video: every sensor row is a sample in time."""
