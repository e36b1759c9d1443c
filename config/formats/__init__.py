"""How dates are written where no template tag of ours writes them."""
