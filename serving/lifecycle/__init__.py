"""Which versions of which models serve: found on disk, loaded, warmed up, replaced, unloaded."""
