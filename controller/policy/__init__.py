"""The LSTM policy, and how it learns."""
