"""Numerics that several plugins share: spatial derivatives, and the noise of a sensor."""
