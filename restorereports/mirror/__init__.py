"""One Enterprise Manager: entities to rows; runs, their lock and their heartbeat. The only user of `em`."""
