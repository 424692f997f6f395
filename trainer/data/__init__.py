"""What networks are fitted to: MNIST, its distorted copies, pictures that are no digit."""
