"""Ways of writing digits that MNIST's writers do not have."""
