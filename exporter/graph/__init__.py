"""What is done to the graph of a SavedModel after TensorFlow has written it."""
