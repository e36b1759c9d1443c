"""Everything `make up` and `make test` start by themselves: services, simulators and their supervisor."""
