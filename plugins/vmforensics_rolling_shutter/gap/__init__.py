"""From row samples with a gap every frame to one uniform signal: combiners, and what they are made of."""
