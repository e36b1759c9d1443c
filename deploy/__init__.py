"""How Lockstep is run: on one machine (local), in a container, on Kubernetes."""
