"""One network: as a value, a Keras model, TensorFlow functions, a folder."""
