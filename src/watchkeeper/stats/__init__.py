"""Statistics: arrays and counts in, numbers out. No clock, no I/O, no randomness without `rng=`; nothing here knows of models, risks or databases."""
