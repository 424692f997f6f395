"""From encoded images to 28x28 in MNIST's form, in the graph: decoding and normalising."""
