"""Settings: base is Django; each concern has a short file; development, test and production differ by a few lines."""
