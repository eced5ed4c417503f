"""Where children run. No TensorFlow."""
