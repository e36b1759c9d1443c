"""The portal's pages about keys, service accounts and the rules for keys."""
