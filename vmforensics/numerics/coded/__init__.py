"""Motion from a codec's decisions: in which cell of its quantiser each coefficient of a coded frame lay."""
