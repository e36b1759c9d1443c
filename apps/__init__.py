"""The product, one package per app; imports go down the stack that docs/architecture.md draws."""
