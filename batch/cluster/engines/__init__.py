"""Clusters on which the shards of a job are answered. They carry shard numbers; the job itself knows what is done."""
