"""Template tags of the portal: one library, `lockstep_ui`, and the pure modules it draws with."""
