"""What a network is made of: cells as values, the spaces they come from, and the walk that reads them.

Nothing in this package imports TensorFlow.
"""
