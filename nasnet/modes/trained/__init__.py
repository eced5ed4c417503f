"""The modes that take a trained network as it is, or try how to go on from it."""
