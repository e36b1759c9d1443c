"""The portal's pages of governance."""
