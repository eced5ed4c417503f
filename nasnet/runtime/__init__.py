"""What a process of ours asks of its machine. No TensorFlow."""
