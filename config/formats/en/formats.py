"""In UTC, and said so: an audit log that is read in two places must be read the same."""

DATE_FORMAT = "j M Y"
DATETIME_FORMAT = "j M Y, H:i:s e"
