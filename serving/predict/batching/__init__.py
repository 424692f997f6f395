"""Dynamic batching: concurrent small requests are merged, run at once, and answered one by one."""
