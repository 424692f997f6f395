"""What not every file system offers, and what is done without it: locks, syncing, paths of any length."""
