"""Recovery from global-shutter, high-speed video: local phase in a complex steerable pyramid."""
