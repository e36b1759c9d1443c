"""The operator admin's frame: one audited site that every app hangs its pages into."""
