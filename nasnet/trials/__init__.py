"""A search, trial by trial. No TensorFlow."""
