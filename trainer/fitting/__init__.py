"""From a recipe to a fitted network: layers, fit, checkpoints, teachers."""
