"""The flags of digits-serve and the settings they become."""
