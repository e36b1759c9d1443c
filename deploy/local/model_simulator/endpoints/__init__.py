"""The simulated endpoints: each module reads its requests and renders its answers."""
