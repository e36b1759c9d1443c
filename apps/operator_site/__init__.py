"""The operator admin's frame: one site that every app hangs its pages into, audited without each page's help."""
