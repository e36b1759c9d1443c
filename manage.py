#!/usr/bin/env python
"""Django's command line for Lockstep. Commands act for the operator: control plane, public scope."""

import sys

from config import env


def main() -> None:
    env.use_defaults_for_commands()
    from django.core.management import execute_from_command_line

    from apps.tenancy.context import in_public

    # Django's own commands know nothing of tenants; ours enter one where they need it.
    with in_public():
        execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
