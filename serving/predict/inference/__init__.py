"""Classify, Regress and MultiInference: requests whose input is tf.Examples, and whose answers say what they mean."""
