"""Speed and memory. Each file without an underscore is one benchmark with a function `run`; the others are what they share."""
