"""Jobs: a walk frozen into shards, answered by any number of workers, joined to one table."""
