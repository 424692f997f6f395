"""Search for a recipe's settings with KerasTuner."""
